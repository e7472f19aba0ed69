"""Records written behind: refused submissions, sign-ins, the last use of credentials.

They may be late by a second or two, and are lost in a crash; nobody waits for them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
import structlog

from gateway.outgoing.queue import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.credentials.signin import SignIn
    from gateway.outgoing.queue.store import QueueStore

KEPT_SIGN_INS = 50
"""Of each account."""

KEPT_REFUSALS = 2000
"""Of each tenant: a flood of one pushes out only its own."""

_KEPT_RECIPIENTS = 20
_MOST_WAITING = 2000
_FLUSH_SECONDS = 1.0


class Refused(Protocol):
    """A submission that was not taken. Times in seconds since 1970."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def account_id(self) -> str | None: ...
    @property
    def at(self) -> float: ...
    @property
    def client_address(self) -> str: ...
    @property
    def reverse_path(self) -> str: ...
    @property
    def from_address(self) -> str | None: ...
    @property
    def recipients(self) -> tuple[str, ...]: ...
    @property
    def reply(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def workspace_id(self) -> str: ...
    @property
    def environment(self) -> str: ...


class Records:
    """Collects records on the event loop and has the store write them with its next batch."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self._refused: deque[Refused] = deque()
        self._sign_ins: deque[SignIn] = deque()
        self._key_uses: dict[str, dict[str, Any]] = {}
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._log = structlog.get_logger("gateway.outgoing.queue")

    def refused(self, record: Refused) -> None:
        """Keep a refused submission. Does not block and does not raise."""
        self._keep(self._refused, record)

    def sign_in(self, attempt: SignIn) -> None:
        """Keep a sign-in. Does not block and does not raise."""
        self._keep(self._sign_ins, attempt)

    def key_use(self, key_id: str, tenant_id: str | None, address: str, at: float) -> None:
        """Keep the last use of an API key. Does not block and does not raise."""
        self._key_uses[key_id] = {
            "credential_id": key_id,
            "tenant_id": tenant_id or "",
            "account_id": "",
            "used_at": at,
            "address": address,
        }
        self._wake()

    def flush(self) -> None:
        """Hand everything to the store now: before it stops, or once a second."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dropped:
            self._log.warning("records_dropped", location=self._store.location, records=self._dropped)
            self._dropped = 0
        if self._refused:
            refused, self._refused = list(self._refused), deque()
            self._store.post(lambda connection: write_refusals(connection, refused))
        if self._sign_ins:
            attempts, self._sign_ins = list(self._sign_ins), deque()
            self._store.post(lambda connection: write_sign_ins(connection, attempts))

        if self._key_uses:
            uses, self._key_uses = self._key_uses, {}
            self._store.post(lambda connection: write_key_uses(connection, uses))

    def _keep(self, waiting: deque[Any], record: object) -> None:
        if len(waiting) >= _MOST_WAITING:
            self._dropped += 1
            return
        waiting.append(record)
        self._wake()

    def _wake(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)


def write_refusals(connection: Connection, records: Sequence[Refused]) -> None:
    """Add them, and drop each tenant's oldest beyond `KEPT_REFUSALS`."""
    table = tables.refused
    connection.execute(
        sa.insert(table).inline(),
        [
            {
                "tenant_id": record.tenant_id,
                "account_id": record.account_id,
                "at": record.at,
                "client_address": record.client_address,
                "reverse_path": record.reverse_path,
                "from_address": record.from_address,
                "recipients": json.dumps(record.recipients[:_KEPT_RECIPIENTS]),
                "recipient_count": len(record.recipients),
                "reply": record.reply,
                "rule": record.rule,
                "workspace_id": record.workspace_id,
                "environment": record.environment,
            }
            for record in records
        ],
    )
    _trim(connection, table, table.c.tenant_id, {record.tenant_id for record in records}, KEPT_REFUSALS)


def write_sign_ins(connection: Connection, attempts: Sequence[SignIn]) -> None:
    """Add them, keep each account's last `KEPT_SIGN_INS`, and mark the credentials that were used."""
    table = tables.sign_in
    connection.execute(
        sa.insert(table).inline(),
        [
            {
                "tenant_id": attempt.tenant_id,
                "account_id": attempt.account_id,
                "at": attempt.at,
                "protocol": attempt.protocol,
                "address": attempt.address,
                "outcome": str(attempt.outcome),
                "credential_id": attempt.credential_id,
            }
            for attempt in attempts
        ],
    )
    _trim(connection, table, table.c.account_id, {attempt.account_id for attempt in attempts}, KEPT_SIGN_INS)
    used = {
        attempt.credential_id: attempt
        for attempt in attempts
        if attempt.outcome == "accepted" and attempt.credential_id is not None
    }
    for credential_id, attempt in sorted(used.items()):
        connection.execute(
            _MARK_USED,
            {
                "credential_id": credential_id,
                "tenant_id": attempt.tenant_id,
                "account_id": attempt.account_id,
                "used_at": attempt.at,
                "address": attempt.address,
            },
        )


def write_key_uses(connection: Connection, uses: Mapping[str, Mapping[str, Any]]) -> None:
    """Mark API keys as used; `uses` are rows by key."""
    for _, use in sorted(uses.items()):
        connection.execute(_MARK_USED, use)


_MARK_USED = sa.text(
    "INSERT INTO credential_use (credential_id, tenant_id, account_id, used_at, address)"
    " VALUES (:credential_id, :tenant_id, :account_id, :used_at, :address) ON CONFLICT (credential_id)"
    " DO UPDATE SET used_at = excluded.used_at, address = excluded.address"
    " WHERE credential_use.used_at < excluded.used_at"
)


def _trim(connection: Connection, table: sa.Table, owner: sa.Column[Any], ids: set[str], most: int) -> None:
    for one in sorted(ids):
        kept = sa.select(table.c.id).where(owner == one).order_by(table.c.id.desc()).offset(most).limit(1)
        connection.execute(sa.delete(table).where(owner == one, table.c.id <= kept.scalar_subquery()))
