"""Reading the audit, and proving that nobody has touched it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.installation.model import HeadRow
from gateway.control.lookup import not_found
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant
from gateway.control.transaction import ControlWrites, chain_hash, payload_hash
from gateway.control.visibility import visible

_PAGE = 500


@dataclass(frozen=True, slots=True)
class AuditView:
    """An entry; `name` is its operation. `before`, `after`: None where there is nothing, or it was erased."""

    id: str
    name: str
    number: int
    tenant_id: str | None
    at: float
    created_at: float
    actor_kind: str
    actor_id: str
    actor_address: str | None
    operation: str
    resource_kind: str
    resource_id: str
    request_id: str | None
    before: Any
    after: Any
    chain_hash: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """`whole`: all `entries` are as they were written, in order, none missing. `number`: where it broke."""

    whole: bool
    entries: int
    problem: str | None = None
    number: int | None = None


class AuditService:
    """Reads the control database's audit."""

    def __init__(self, writes: ControlWrites, audit_key: bytes) -> None:
        self._writes = writes
        self._audit_key = audit_key

    def list(
        self,
        actor: Actor,
        *,
        resource_id: str | None = None,
        tenant: str | None = None,
        operation: str | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[AuditView, ...]:
        """Entries, newest first; `since` and `until` in seconds since 1970, `before` a number to page on.

        Raises NotFound (the tenant).
        """
        conditions = [visible(actor, AuditEntryRow)]
        if resource_id is not None:
            conditions.append(AuditEntryRow.resource_id == resource_id)
        if operation is not None:
            conditions.append(AuditEntryRow.operation == operation)
        if since is not None:
            conditions.append(AuditEntryRow.at >= since)
        if until is not None:
            conditions.append(AuditEntryRow.at < until)
        if before is not None:
            conditions.append(AuditEntryRow.number < before)
        with self._writes.view() as session:
            if tenant is not None:
                conditions.append(AuditEntryRow.tenant_id == find_tenant(session, actor, tenant).id)
            statement = _entries().where(*conditions).order_by(AuditEntryRow.number.desc()).limit(limit)
            return tuple(_view(entry, payload) for entry, payload in session.execute(statement))

    def show(self, actor: Actor, reference: str) -> AuditView:
        """One entry by id or number. Raises NotFound."""
        wanted = (
            AuditEntryRow.number == int(reference)
            if reference.isascii() and reference.isdigit() and len(reference) < 19
            else AuditEntryRow.id == reference.lower()
        )
        with self._writes.view() as session:
            found = session.execute(_entries().where(wanted, visible(actor, AuditEntryRow))).one_or_none()
        if found is None:
            raise not_found("audit", reference)
        return _view(*found)

    def export(self, actor: Actor) -> Iterator[AuditView]:
        """All entries, oldest first, a page at a time: each in a transaction of its own."""
        number = 0
        while True:
            with self._writes.view() as session:
                statement = _entries().where(AuditEntryRow.number > number, visible(actor, AuditEntryRow))
                page = session.execute(statement.order_by(AuditEntryRow.number).limit(_PAGE)).all()
                views = [_view(entry, payload) for entry, payload in page]
            yield from views
            if len(views) < _PAGE:
                return
            number = views[-1].number

    def verify(self) -> AuditVerdict:
        """Follow the chain from its beginning to its head; the first thing that is wrong is named."""
        with self._writes.view() as session:
            head = session.get_one(HeadRow, 1)
            return self._follow(session, head)

    def _follow(self, session: Session, head: HeadRow) -> AuditVerdict:
        previous, count = "", 0
        statement = _entries().order_by(AuditEntryRow.number).execution_options(yield_per=_PAGE)
        with session.execute(statement) as entries:
            for entry, payload in entries:
                count += 1
                problem = self._problem(entry, payload, previous, count)
                if problem is not None:
                    return AuditVerdict(False, count - 1, problem, count)
                previous = entry.chain_hash
        if count != head.audit_number or not hmac.compare_digest(previous, head.audit_hash):
            return AuditVerdict(
                False, count, f"the chain ends at entry {count}, the head says {head.audit_number}", count + 1
            )
        return AuditVerdict(True, count)

    def _problem(
        self, entry: AuditEntryRow, payload: AuditPayloadRow | None, previous: str, number: int
    ) -> str | None:
        if entry.number != number:
            return f"entry {number} is missing"
        if entry.previous_hash != previous:
            return f"entry {number} does not follow the one before it"
        if not hmac.compare_digest(chain_hash(self._audit_key, entry), entry.chain_hash):
            return f"entry {number} was changed"
        # A payload that was lawfully erased is gone as a row; the entry and its hash stay.
        if payload is not None and payload_hash(payload.before, payload.after) != entry.payload_hash:
            return f"the payload of entry {number} was changed"
        return None


def _entries() -> sa.Select[AuditEntryRow, AuditPayloadRow]:
    return sa.select(AuditEntryRow, AuditPayloadRow).join(
        AuditPayloadRow, AuditPayloadRow.number == AuditEntryRow.number, isouter=True
    )


def _view(entry: AuditEntryRow, payload: AuditPayloadRow | None) -> AuditView:
    return AuditView(
        id=entry.id,
        name=entry.operation,
        number=entry.number,
        tenant_id=entry.tenant_id,
        at=entry.at,
        created_at=entry.at,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        actor_address=entry.actor_address,
        operation=entry.operation,
        resource_kind=entry.resource_kind,
        resource_id=entry.resource_id,
        request_id=entry.request_id,
        before=_parsed(payload.before if payload is not None else None),
        after=_parsed(payload.after if payload is not None else None),
        chain_hash=entry.chain_hash,
    )


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text is not None else None
