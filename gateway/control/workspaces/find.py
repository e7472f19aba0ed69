"""Finding a workspace by name or id, a tenant's own before a shared one."""

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
    """A workspace by name or id; with `tenant_id` that tenant's own by this name comes before a shared one.

    Raises NotFound, Conflict.
    """
    seen = visible(actor, WorkspaceRow)
    if tenant_id is not None:
        seen = sa.and_(seen, WorkspaceRow.owner.in_([tenant_id, SHARED]))
        mine = session.scalars(
            sa.select(WorkspaceRow).where(
                WorkspaceRow.owner == tenant_id, WorkspaceRow.name_key == name_key(reference), seen
            )
        ).one_or_none()
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
