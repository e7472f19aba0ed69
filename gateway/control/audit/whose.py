"""Whose entries are asked for: a tenant that is there, or one of which only the audit still knows."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.audit.model import AuditEntryRow
from gateway.control.errors import NotFound
from gateway.control.lookup import is_id
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant


def find_tenant_id(session: Session, actor: Actor, reference: str) -> str:
    """The id of a tenant by name or id; for the operator by id also of one that is gone. Raises NotFound."""
    try:
        return find_tenant(session, actor, reference).id
    except NotFound:
        if not actor.is_operator or not is_id(reference):
            raise
        ident = reference.lower()
        known = sa.select(AuditEntryRow.number).where(AuditEntryRow.tenant_id == ident).limit(1)
        if session.scalar(known) is None:
            raise
        return ident
