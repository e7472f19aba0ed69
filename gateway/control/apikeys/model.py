"""The table of API keys."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of
from gateway.control.records import ENVIRONMENTS


class ApiKeyRow(Base):
    """A key by its SHA-256: 131 random bits need no slow hash. Its limits become its actor's."""

    __tablename__ = "api_keys"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"]),
        sa.UniqueConstraint("key_id"),
        sa.Index("ix_api_keys_tenant_id", "tenant_id"),
        one_of("environment", ENVIRONMENTS),
    )

    id: Mapped[Id]
    name: Mapped[str]
    key_id: Mapped[str]
    hash: Mapped[str]
    rights: Mapped[list[str]]
    tenant_id: Mapped[str | None]
    workspace_id: Mapped[str | None]
    environment: Mapped[str | None]
    networks: Mapped[list[str]]
    expires_at: Mapped[OptionalTime]
    revoked_at: Mapped[OptionalTime]
    created_by: Mapped[str]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
