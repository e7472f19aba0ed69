"""Changes of the control plane: one transaction each, with its audit and its mark in the change log.

    with writes.change(actor) as change:
        change.add(row)
        change.audit("domain.add", "domain", row.id, tenant_id=…, before=None, after=…)
        change.changed("domain", row.id, tenant_id=…)

All control transactions take turns: SQLite's by the file lock, PostgreSQL's by the head row, which is locked
first here and written last. What a rule reads inside is therefore never stale, and nothing can deadlock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.control.audit.head import Head
from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.base import Base
from gateway.control.errors import Conflict
from gateway.control.installation.model import ChangeRow, HeadRow
from gateway.control.records import Actor
from gateway.control.schema import metadata
from gateway.system.clock import Clock
from gateway.system.database import Database
from gateway.system.ids import IdSource

Payload = dict[str, object]

# The log serves directories that are at most seconds behind; one that is further back reads everything.
_KEPT_REVISIONS = 20_000
_PRUNE_EVERY = 1_000
_CHECKPOINT_EVERY = 64


@dataclass(frozen=True, slots=True)
class AuditNote:
    """An audit entry to be; `before` and `after` are canonical JSON."""

    operation: str
    resource_kind: str
    resource_id: str
    tenant_id: str | None
    before: str | None
    after: str | None


@dataclass(slots=True)
class ControlChange:
    """A transaction that is going on. `now` is its one time; `ids` makes ids for its rows."""

    session: Session
    actor: Actor
    now: float
    ids: IdSource
    result: Payload | None = None
    """What a repetition of the request is answered with: the last recorded view, or what a service says."""
    _entries: list[AuditNote] = field(default_factory=list)
    _changes: dict[tuple[str, str], tuple[str | None, str | None]] = field(default_factory=dict)

    def add(self, *rows: Base) -> None:
        """Add rows and write them at once: parents before children is then the order of the calls."""
        for row in rows:
            self.session.add(row)
            self.session.flush()

    def audit(
        self,
        operation: str,
        resource_kind: str,
        resource_id: str,
        *,
        tenant_id: str | None,
        before: Payload | None,
        after: Payload | None,
    ) -> None:
        """Record what is done; `before` and `after` are JSON values without any secret."""
        texts = canonical(before), canonical(after)
        self._entries.append(AuditNote(operation, resource_kind, resource_id, tenant_id, *texts))

    def changed(
        self, kind: str, row_id: str, *, tenant_id: str | None = None, account_id: str | None = None
    ) -> None:
        """Tell every process's memory that this row is new, different or gone."""
        self._changes[kind, row_id] = (tenant_id, account_id)

    @property
    def entries(self) -> Sequence[AuditNote]:
        """What was recorded so far, in order."""
        return tuple(self._entries)


class ControlWrites:
    """Opens the transactions of the services."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource, audit_key: bytes) -> None:
        """`audit_key`: 32 octets that chain the audit, the same for the life of the installation."""
        metadata()
        self.database = database
        self.clock = clock
        self.ids = ids
        self._audit_key = audit_key
        self._callbacks: list[Callable[[int], None]] = []
        self._since_checkpoint = 0

    def subscribe(self, callback: Callable[[int], None]) -> None:
        """Call `callback(revision)` after each commit of this object: a hint for others to look."""
        self._callbacks.append(callback)

    @contextmanager
    def change(self, actor: Actor) -> Iterator[ControlChange]:
        """One transaction: rolled back if the block raises, else audited, numbered and committed.

        A transaction that changes no row leaves no new revision. Raises Conflict where a rule of the
        database itself (uniqueness, tenant and environment walls) is broken, DatabaseAway.
        """
        revision: int | None = None
        try:
            with self.database.write() as connection, Session(connection, expire_on_commit=False) as session:
                head = _lock_head(session, connection)
                change = ControlChange(session, actor, self.clock.now(), self.ids)
                if actor.conditions is not None:
                    actor.conditions.begin(change)
                yield change
                session.flush()
                if change._changes or change._entries:
                    if actor.conditions is not None:
                        actor.conditions.finish(change)
                    revision = self._finish(change, head)
                    session.flush()
        except IntegrityError as error:
            raise Conflict(
                "conflict",
                "The change contradicts what is stored: " + _constraint(error),
                "Look at the named things with their show command and try again.",
            ) from error
        if revision is not None:
            self._after_commit(revision)

    @contextmanager
    def rehearsal(self, actor: Actor) -> Iterator[ControlChange]:
        """A transaction that is always rolled back: what a change would do, seen and undone."""
        with (
            suppress(_Undone),
            self.database.write() as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            _lock_head(session, connection)
            yield ControlChange(session, actor, self.clock.now(), self.ids)
            raise _Undone

    @contextmanager
    def view(self) -> Iterator[Session]:
        """A read-only session that sees one moment."""
        with self.database.read() as connection, Session(connection, expire_on_commit=False) as session:
            yield session

    def joined(self, change: ControlChange) -> ControlWrites:
        """The same, for services that are to work inside `change`: their changes become parts of it."""
        return _JoinedWrites(self, change)

    def _finish(self, change: ControlChange, head: HeadRow) -> int:
        head.revision += 1
        rows = [
            {
                "revision": head.revision,
                "n": n,
                "kind": kind,
                "row_id": row,
                "tenant_id": tenant,
                "account_id": account,
            }
            for n, ((kind, row), (tenant, account)) in enumerate(change._changes.items())
        ]
        if rows:
            change.session.execute(sa.insert(ChangeRow), rows)
        self._append(change, head)
        if head.revision % _PRUNE_EVERY == 0:
            change.session.execute(
                sa.delete(ChangeRow).where(ChangeRow.revision < head.revision - _KEPT_REVISIONS)
            )
        return head.revision

    def _append(self, change: ControlChange, head: HeadRow) -> None:
        """Write the audit: all entries, then all payloads, for one change may have thousands."""
        if not change._entries:
            return
        end, rows = head.audit_head, []
        for note in change._entries:
            rows.append(self._entry(change, end, note))
            end = Head(rows[-1].number, rows[-1].chain_hash)
        head.audit_head = head.audit_head.moved(self._audit_key, end.number, end.hash)
        columns = [column.key for column in sa.inspect(AuditEntryRow).columns]
        change.session.execute(
            sa.insert(AuditEntryRow), [{name: getattr(row, name) for name in columns} for row in rows]
        )
        change.session.execute(
            sa.insert(AuditPayloadRow),
            [
                {"number": row.number, "before": entry.before, "after": entry.after}
                for row, entry in zip(rows, change._entries, strict=True)
            ],
        )

    def _entry(self, change: ControlChange, end: Head, entry: AuditNote) -> AuditEntryRow:
        row = AuditEntryRow(
            number=end.number + 1,
            id=self.ids.uuid(),
            at=change.now,
            actor_kind=change.actor.kind,
            actor_id=change.actor.id,
            actor_address=change.actor.address,
            operation=entry.operation,
            resource_kind=entry.resource_kind,
            resource_id=entry.resource_id,
            tenant_id=entry.tenant_id,
            request_id=change.actor.request_id,
            previous_hash=end.hash,
            payload_hash=payload_hash(entry.before, entry.after),
        )
        row.chain_hash = chain_hash(self._audit_key, row)
        return row

    def _after_commit(self, revision: int) -> None:
        for callback in tuple(self._callbacks):
            callback(revision)
        self._since_checkpoint += 1
        if self._since_checkpoint >= _CHECKPOINT_EVERY:
            self._since_checkpoint = 0
            self.database.checkpoint()


class _JoinedWrites(ControlWrites):
    """Opens no transaction of its own: everything happens inside one that is going on."""

    def __init__(self, outer: ControlWrites, change: ControlChange) -> None:
        super().__init__(outer.database, outer.clock, outer.ids, outer._audit_key)
        self._change = change

    @contextmanager
    def change(self, actor: Actor) -> Iterator[ControlChange]:  # noqa: ARG002 - the outer change has its actor
        yield self._change
        self._change.session.flush()

    @contextmanager
    def rehearsal(self, actor: Actor) -> Iterator[ControlChange]:
        session = self._change.session
        session.flush()
        with suppress(_Undone), session.begin_nested():
            yield ControlChange(session, actor, self._change.now, self.ids)
            raise _Undone

    @contextmanager
    def view(self) -> Iterator[Session]:
        self._change.session.flush()
        yield self._change.session


class _Undone(Exception):
    """Rolls a rehearsal back."""


def canonical(payload: Payload | None) -> str | None:
    """The one text of a payload that is hashed and stored."""
    if payload is None:
        return None
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def payload_hash(before: str | None, after: str | None) -> str:
    """SHA-256 over both texts, told apart from each other and from absence."""
    digest = hashlib.sha256()
    for text in (before, after):
        octets = b"" if text is None else text.encode()
        digest.update((b"-" if text is None else b"+") + len(octets).to_bytes(8, "big") + octets)
    return digest.hexdigest()


def chain_hash(key: bytes, row: AuditEntryRow) -> str:
    """HMAC-SHA256 over the previous hash, the payload's hash and every other column of the entry."""
    columns = (
        row.previous_hash,
        row.payload_hash,
        row.number,
        row.id,
        row.at,
        row.actor_kind,
        row.actor_id,
        row.actor_address,
        row.operation,
        row.resource_kind,
        row.resource_id,
        row.tenant_id,
        row.request_id,
    )
    text = json.dumps(columns, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _lock_head(session: Session, connection: Connection) -> HeadRow:
    statement = sa.select(HeadRow).where(HeadRow.id == 1)
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update()
    return session.scalars(statement).one()


def _constraint(error: IntegrityError) -> str:
    """The name of the broken rule, without the values that broke it."""
    diagnosis = getattr(error.orig, "diag", None)
    name = getattr(diagnosis, "constraint_name", None)
    return str(name) if name else str(error.orig).partition("\n")[0]
