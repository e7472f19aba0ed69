"""Messages under a key of their caller's: stored once a day, in the transaction of the message itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.control.errors import Conflict
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.states import State
from gateway.outgoing.queue.values import NewMessage, OnceKey, Stored

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.outgoing.queue.inbox import Add

KEPT_SECONDS = 86_400.0
"""How long a key stands for its message."""

Pair = tuple[str, str]
"""An account's id and a key of its caller's."""

_COLUMNS = "account_id, key, tenant_id, digest, message_id, state, release_at, at"
_CLAIM = sa.text(
    f"INSERT INTO idempotency ({_COLUMNS}) VALUES"
    " (:account_id, :key, :tenant_id, :digest, :message_id, '', NULL, :at)"
    " ON CONFLICT (account_id, key) DO UPDATE SET tenant_id = excluded.tenant_id, digest = excluded.digest,"
    " message_id = excluded.message_id, state = '', release_at = NULL, at = excluded.at"
    " WHERE idempotency.at < :over RETURNING message_id"
)
_WITH_STATE = sa.text(
    "UPDATE idempotency SET state = :state, release_at = :release_at"
    " WHERE account_id = :account_id AND key = :key"
)
_GIVE_BACK = sa.text("DELETE FROM idempotency WHERE account_id = :account_id AND key = :key")


@dataclass(slots=True)
class Claims:
    """The keys of one batch: who stores under each, and who only repeats."""

    _first: dict[Pair, Add] = field(default_factory=dict)
    _repeats: list[tuple[Pair, Add]] = field(default_factory=list)
    _answered: set[int] = field(default_factory=set)

    def is_new(self, add: Add) -> bool:
        """Whether `add` is to be stored: it has no key, or was the first with it."""
        return id(add) not in self._answered

    def claim(self, connection: Connection, adds: Sequence[Add], now: float) -> None:
        """Take the keys of `adds`, in the order of keys so that two processes never wait for each other.

        Messages whose key stands for one already get their answer.
        """
        for pair, add in sorted(_keyed(adds), key=lambda one: one[0]):
            if pair in self._first:
                self._repeats.append((pair, add))
                self._answered.add(id(add))
            elif connection.execute(_CLAIM, _claim_row(pair, add.message, now)).first() is not None:
                self._first[pair] = add
            else:
                self._answered.add(id(add))
                _answer(add, find_once(connection, *pair, 0.0))

    def settle(self, connection: Connection) -> None:
        """After the batch was admitted: keep what was stored, give back the keys of what was refused."""
        for (account_id, key), add in self._first.items():
            names = {"account_id": account_id, "key": key}
            if add.error is not None:
                connection.execute(_GIVE_BACK, names)
            else:
                state, release_at = add.result.state.value, add.result.release_at
                connection.execute(_WITH_STATE, names | {"state": state, "release_at": release_at})
        for pair, add in self._repeats:
            first = self._first[pair]
            if first.error is not None:
                add.result, add.error = None, first.error
            else:
                _answer(add, _as_found(first))


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was stored under a key."""

    digest: str
    stored: Stored


def find_once(connection: Connection, account_id: str, key: str, since: float) -> Earlier | None:
    """What is stored under a key since a time; None if nothing is."""
    table = tables.idempotency
    row = connection.execute(
        sa.select(table).where(table.c.account_id == account_id, table.c.key == key, table.c.at >= since)
    ).first()
    if row is None:
        return None
    return Earlier(row.digest, Stored(row.message_id, State(row.state), row.release_at, (), repeated=True))


def same_or_conflict(earlier: Earlier, once: OnceKey) -> Stored:
    """The earlier message, if it was the same. Raises Conflict."""
    if earlier.digest != once.digest:
        raise Conflict(
            "idempotency-key-used",
            f"The idempotency key {once.key!r} was used for another message of this account, "
            f"{earlier.stored.id}, less than a day ago.",
            "Use a new key for a new message; the same key is for sending the same request again.",
        )
    return earlier.stored


def _keyed(adds: Sequence[Add]) -> list[tuple[Pair, Add]]:
    return [
        ((add.message.account_id or "", add.message.once.key), add)
        for add in adds
        if add.message.once is not None
    ]


def _claim_row(pair: Pair, message: NewMessage, now: float) -> dict[str, Any]:
    assert message.once is not None
    return {
        "account_id": pair[0],
        "key": pair[1],
        "tenant_id": message.tenant_id,
        "digest": message.once.digest,
        "message_id": message.id,
        "at": now,
        "over": now - KEPT_SECONDS,
    }


def _answer(add: Add, earlier: Earlier | None) -> None:
    assert earlier is not None, "a key that could not be claimed has a row"
    assert add.message.once is not None
    try:
        add.result, add.error = same_or_conflict(earlier, add.message.once), None
    except Conflict as conflict:
        add.result, add.error = None, conflict


def _as_found(first: Add) -> Earlier:
    assert first.message.once is not None
    stored: Stored = first.result
    return Earlier(
        first.message.once.digest, Stored(stored.id, stored.state, stored.release_at, (), repeated=True)
    )
