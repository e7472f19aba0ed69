"""The tables of workspaces and of the domain patterns that assign accounts to them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of
from gateway.control.records import ENVIRONMENTS

SHARED = "shared"


class WorkspaceRow(Base):
    """A policy container. `owner` is its tenant's id or "shared": accounts point at both."""

    __tablename__ = "workspaces"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.UniqueConstraint("id", "environment", "owner"),
        sa.UniqueConstraint("owner", "name_key"),
        sa.UniqueConstraint("owner", "client_id"),
        sa.Index("ix_workspaces_tenant_id", "tenant_id"),
        sa.Index("ix_workspaces_name_key_id", "name_key", "id"),
        one_of("environment", ENVIRONMENTS),
        sa.CheckConstraint(
            "(owner = 'shared' AND tenant_id IS NULL) OR (owner = tenant_id AND tenant_id IS NOT NULL)",
            name="owner",
        ),
        sa.Index(
            "uq_workspaces_owner_environment_default",
            "owner",
            "environment",
            unique=True,
            sqlite_where=sa.text("is_default"),
            postgresql_where=sa.text("is_default"),
        ),
    )

    id: Mapped[Id]
    name: Mapped[str]
    name_key: Mapped[str]
    owner: Mapped[str]
    tenant_id: Mapped[str | None]
    environment: Mapped[str]
    location: Mapped[str]
    policy: Mapped[str]
    """The policy's name."""
    is_default: Mapped[bool]
    carry_from: Mapped[str | None]
    """The location whose counters are to be carried to this one's before its accounts send again."""
    carry_at: Mapped[OptionalTime]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]


class WorkspacePatternRow(Base):
    """A domain ("acme.com") or all below one ("*.acme.com") whose accounts belong into a workspace."""

    __tablename__ = "workspace_patterns"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["workspace_id", "environment", "owner"],
            ["workspaces.id", "workspaces.environment", "workspaces.owner"],
        ),
        sa.UniqueConstraint("owner", "environment", "pattern"),
        sa.Index("ix_workspace_patterns_workspace_id", "workspace_id"),
    )

    id: Mapped[Id]
    workspace_id: Mapped[str]
    owner: Mapped[str]
    environment: Mapped[str]
    pattern: Mapped[str]
    created_at: Mapped[Time]
