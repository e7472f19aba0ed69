"""Workspaces as people see them, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.filters import in_environment
from gateway.control.paging import Listing
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant
from gateway.control.workspaces.model import SHARED, WorkspacePatternRow, WorkspaceRow


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace; `tenant_id` None: shared."""

    id: str
    name: str
    tenant_id: str | None
    environment: str
    location: str
    policy: str
    is_default: bool
    patterns: tuple[str, ...]
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def workspace_view(session: Session, row: WorkspaceRow) -> WorkspaceView:
    """The view of a row."""
    return workspace_views(session, [row])[0]


def workspace_views(session: Session, rows: Sequence[WorkspaceRow]) -> list[WorkspaceView]:
    """The views of rows, in their order."""
    patterns: dict[str, list[str]] = {}
    found = session.execute(
        sa.select(WorkspacePatternRow.workspace_id, WorkspacePatternRow.pattern)
        .where(WorkspacePatternRow.workspace_id.in_([row.id for row in rows]))
        .order_by(WorkspacePatternRow.pattern)
    )
    for workspace_id, pattern in found:
        patterns.setdefault(workspace_id, []).append(pattern)
    return [_view(row, patterns.get(row.id, [])) for row in rows]


def _view(row: WorkspaceRow, patterns: Sequence[str]) -> WorkspaceView:
    return WorkspaceView(
        id=row.id,
        name=row.name,
        tenant_id=row.tenant_id,
        environment=row.environment,
        location=row.location,
        policy=row.policy,
        is_default=row.is_default,
        patterns=tuple(patterns),
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _usable_by(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:
    """A tenant's own workspaces and the shared ones; only the shared ones for the word "shared"."""
    owners = [SHARED] if word == SHARED else [find_tenant(session, actor, word).id, SHARED]
    return WorkspaceRow.owner.in_(owners)


LISTING = Listing(
    row=WorkspaceRow,
    views=workspace_views,
    sorts={
        "name": WorkspaceRow.name_key,
        "created_at": WorkspaceRow.created_at,
        "updated_at": WorkspaceRow.updated_at,
    },
    filters={
        "name": WorkspaceRow.name,
        "tenant": _usable_by,
        "environment": in_environment(WorkspaceRow.environment),
        "policy": WorkspaceRow.policy,
        "location": WorkspaceRow.location,
        "default": WorkspaceRow.is_default,
        "client_id": WorkspaceRow.client_id,
    },
)
