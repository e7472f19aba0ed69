"""Finding a workspace by name or id; for a tenant's caller its own comes before a shared one."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.lookup import find, name_key
from gateway.control.records import Actor
from gateway.control.visibility import visible
from gateway.control.workspaces.model import SHARED, WorkspaceRow


def find_workspace(
    session: Session, actor: Actor, reference: str, *, tenant_id: str | None = None
) -> WorkspaceRow:
    """A workspace by name or id; with `tenant_id` one that this tenant may use, its own or a shared one.

    Where it has both by one name, a tenant's caller means its own. The operator is asked which: a tenant that
    takes a shared one's name must not get what is meant for that one. Raises NotFound, Conflict.
    """
    seen = visible(actor, WorkspaceRow)
    if tenant_id is not None:
        seen = sa.and_(seen, WorkspaceRow.owner.in_([tenant_id, SHARED]))
    if tenant_id is not None and actor.tenant_id is not None:
        own = WorkspaceRow.owner == tenant_id, WorkspaceRow.name_key == name_key(reference)
        mine = session.scalars(sa.select(WorkspaceRow).where(*own, seen)).one_or_none()
        if mine is not None:
            return mine
    return find(
        session,
        WorkspaceRow,
        reference,
        kind="workspace",
        name=WorkspaceRow.name_key,
        key=name_key(reference),
        visible=seen,
    )
