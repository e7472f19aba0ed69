"""Inside the transaction: which of a batch's messages are let in, and the counters they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.driver import first_row
from gateway.outgoing.queue.rows import Row
from gateway.outgoing.queue.statements import Statements, as_json
from gateway.outgoing.queue.thresholds import threshold_row
from gateway.outgoing.quota import Counters, Key, QuotaRefused, QuotaView, keys_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.outgoing.queue.values import NewMessage

Pair = tuple[str, str]
"""account_id and the hash of a recipient's address."""


class Admission:
    """Decides in order of arrival; writes each counter once."""

    def __init__(self, statements: Statements, view: QuotaView) -> None:
        self._statements = statements
        self._view = view
        self._seen: dict[Key, int] = {}

    def committed(self, now: float) -> None:
        """Let the view know what the counters stand at. Only after the commit: it must not run ahead."""
        if self._seen:
            self._view.note(self._seen, now)

    def admit(
        self, connection: Connection, messages: Sequence[NewMessage], now: float
    ) -> list[float | Refusal | None]:
        """For each message when it is to be released (None: at once), or why it is refused.

        Takes the counters' locks (in key order), so it is the last thing before the inserts.
        """
        away = self._accounts_away(connection, messages)
        charged = [message for message in messages if message.charges]
        counters, tenants = self._lock(connection, charged, now)
        memory = _Memory(self._known_recipients(connection, charged))
        decisions: list[float | Refusal | None] = []
        told: list[Row] = []
        for message in messages:
            if message.account_id in away:
                decisions.append(_elsewhere())
                continue
            try:
                decisions.append(self._take(counters, memory, message, now))
            except QuotaRefused as refusal:
                decisions.append(refusal)
            if counters.reached:
                told += [threshold_row(message, reached, now) for reached in counters.reached]
                counters.reached.clear()
        if told:
            connection.execute(sa.insert(tables.event).inline(), told)
        self._write(connection, counters, tenants)
        self._seen = {key: counters.value(key) for key in tenants}
        memory.write(connection, self._statements, now)
        return decisions

    def _take(self, counters: Counters, memory: _Memory, message: NewMessage, now: float) -> float | None:
        start = release_from(message, now)
        release_at: float | None = None
        if message.charges:
            new = memory.new_to(message)
            release_at = counters.take(message.charges, len(new), start)
            memory.remember(message, new)
        if release_at is None and start > now:
            return start
        return release_at

    def _accounts_away(self, connection: Connection, messages: Iterable[NewMessage]) -> frozenset[str | None]:
        accounts = {message.account_id for message in messages if message.account_id is not None}
        # Nearly always none is away, and then one look at an empty index answers for the whole batch.
        if not accounts or first_row(connection, self._statements.any_away) is None:
            return frozenset()
        rows = connection.execute(self._statements.away, {"ids": as_json(accounts)})
        return frozenset(row[0] for row in rows)

    def _lock(
        self, connection: Connection, messages: Sequence[NewMessage], now: float
    ) -> tuple[Counters, dict[Key, str]]:
        tenants: dict[Key, str] = {}
        for message in messages:
            for key in keys_of(message.charges, now, release_from(message, now)):
                # A workspace may be shared: its counter is nobody's in particular.
                tenants[key] = "" if key[0] == "workspace" else message.tenant_id
        if not tenants:
            return Counters({}, now), tenants
        keys = list(tenants)
        if self._statements.dialect == "postgresql":
            keys.sort()
            # A row must be there to be locked. Those made here are invisible to others until we
            # commit, so that nobody who holds one of ours waits for one of theirs.
            fresh = [_counter_row(key, tenants[key], 0) for key in keys if not self._view.knows(key)]
            if fresh:
                self._statements.make_counter.execute(connection, fresh)
        found = self._statements.counters.execute(connection, keys)
        values: dict[Key, int] = {(a, b, c, d, e): value for a, b, c, d, e, value in found}
        return Counters(values, now), tenants

    def _write(self, connection: Connection, counters: Counters, tenants: dict[Key, str]) -> None:
        if counters.changed:
            rows = [_counter_row(key, tenants[key], value) for key, value in counters.changed.items()]
            self._statements.put_counter.execute(connection, rows)

    def _known_recipients(self, connection: Connection, messages: Iterable[NewMessage]) -> set[Pair]:
        pairs = {pair for message in messages for pair in _pairs(message)}
        if not pairs:
            return set()
        found = self._statements.known_recipients.execute(connection, list(pairs))
        return {(account, digest) for account, digest in found}


class _Memory:
    """Whom accounts have written to, for limits on first-time recipients."""

    def __init__(self, known: set[Pair]) -> None:
        self._known = known
        self._added: dict[Pair, str] = {}

    def new_to(self, message: NewMessage) -> set[Pair]:
        return {pair for pair in _pairs(message) if pair not in self._known}

    def remember(self, message: NewMessage, pairs: set[Pair]) -> None:
        self._known |= pairs
        self._added.update(dict.fromkeys(pairs, message.tenant_id))

    def write(self, connection: Connection, statements: Statements, now: float) -> None:
        if self._added:
            rows = [
                {"account_id": account, "address_hash": digest, "tenant_id": tenant, "first_at": now}
                for (account, digest), tenant in sorted(self._added.items())
            ]
            statements.remember_recipient.execute(connection, rows)


def release_from(message: NewMessage, now: float) -> float:
    """From when on a message may be released: now, or the time it was scheduled for."""
    return now if message.scheduled_at is None else max(now, message.scheduled_at)


def _pairs(message: NewMessage) -> set[Pair]:
    """Empty unless the account's first-time recipients are limited: what is not limited is not kept."""
    account = message.account_id
    if account is None or not any(charge.metric == "first_time_recipients" for charge in message.charges):
        return set()
    return {(account, blake2b(key.encode(), digest_size=16).hexdigest()) for key in message.first_time}


def _counter_row(key: Key, tenant_id: str, value: int) -> dict[str, object]:
    scope, scope_id, metric, window, start = key
    return {
        "scope": scope,
        "scope_id": scope_id,
        "metric": metric,
        "window": window,
        "window_start": start,
        "tenant_id": tenant_id,
        "value": value,
    }


def _elsewhere() -> Refusal:
    return Refusal(Reply(451, "4.3.0", "this account is being moved; try again in a moment"), "account home")
