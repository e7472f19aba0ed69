"""Reading the control database's audit, and proving that nobody has touched it.

`gateway.control.audit.trail` does the same over all databases.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.control.audit.chain import AuditVerdict, follow
from gateway.control.audit.entries import AuditQuery, AuditView, both, newest, oldest_first, view_of
from gateway.control.audit.model import AuditEntryRow
from gateway.control.audit.whose import find_tenant_id
from gateway.control.installation.model import HeadRow
from gateway.control.lookup import not_found
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites
from gateway.control.visibility import Condition, visible

__all__ = ["AuditService", "AuditVerdict", "AuditView"]


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
        resource_kind: str | None = None,
        tenant: str | None = None,
        operation: str | None = None,
        by: str | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[AuditView, ...]:
        """Entries, newest first; `since` and `until` in seconds since 1970, `before` a number to page on.

        `by` is who made the change: an id, or `cli:root`. Raises NotFound (the tenant).
        """
        with self._writes.view() as session:
            tenant_id = find_tenant_id(session, actor, tenant) if tenant is not None else None
            query = AuditQuery(resource_id, resource_kind, tenant_id, operation, by, since, until, before)
            return newest(session, [visible(actor, AuditEntryRow), *query.conditions()], limit)

    def show(self, actor: Actor, reference: str) -> AuditView:
        """One entry by id or number. Raises NotFound."""
        wanted = reference_condition(reference)
        with self._writes.view() as session:
            found = session.execute(both().where(wanted, visible(actor, AuditEntryRow))).one_or_none()
        if found is None:
            raise not_found("audit", reference)
        return view_of(*found)

    def export(self, actor: Actor) -> Iterator[AuditView]:
        """All entries, oldest first."""
        return oldest_first(self._writes.view, [visible(actor, AuditEntryRow)])

    def verify(self) -> AuditVerdict:
        """Follow the chain from its beginning to its head; the first thing that is wrong is named."""
        with self._writes.view() as session:
            head = session.get_one(HeadRow, 1)
            return follow(session, self._audit_key, head.audit_head)


def reference_condition(reference: str) -> Condition:
    """The entry with this number or id."""
    if reference.isascii() and reference.isdigit() and len(reference) < 19:
        return AuditEntryRow.number == int(reference)
    return AuditEntryRow.id == reference.lower()
