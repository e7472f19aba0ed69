"""Finding a tenant, and refusing changes to one that is being deleted."""

from __future__ import annotations

from sqlalchemy.orm import Session

from gateway.control.errors import Conflict
from gateway.control.lookup import find, name_key
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.visibility import visible


def find_tenant(session: Session, actor: Actor, reference: str) -> TenantRow:
    """A tenant by name or id. Raises NotFound."""
    return find(
        session,
        TenantRow,
        reference,
        kind="tenant",
        name=TenantRow.name_key,
        key=name_key(reference),
        visible=visible(actor, TenantRow),
    )


def changeable_tenant(session: Session, actor: Actor, reference: str) -> TenantRow:
    """A tenant that may get new things. Raises NotFound, Conflict."""
    row = find_tenant(session, actor, reference)
    if row.status == "deleting":
        raise Conflict(
            "tenant-deleting",
            f"The tenant {row.name} is being deleted.",
            "Restore it first, or choose another tenant.",
        )
    return row
