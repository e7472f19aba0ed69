"""The table of shards."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, Time, one_of
from gateway.control.records import ENVIRONMENTS

STATES = ("active", "paused", "retired")


class ShardRow(Base):
    """A sending sub-domain of a tenant in one environment."""

    __tablename__ = "shards"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id", "environment"],
            ["domains.id", "domains.tenant_id", "domains.environment"],
        ),
        sa.ForeignKeyConstraint(["source_id"], ["source_addresses.id"]),
        sa.UniqueConstraint("id", "tenant_id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("tenant_id", "client_id"),
        sa.Index("ix_shards_tenant_id_environment", "tenant_id", "environment"),
        sa.Index("ix_shards_domain_id", "domain_id"),
        sa.Index("ix_shards_source_id", "source_id"),
        one_of("environment", ENVIRONMENTS),
        one_of("state", STATES),
        sa.CheckConstraint("weight BETWEEN 1 AND 1000", name="weight"),
    )

    id: Mapped[Id]
    name: Mapped[str]
    tenant_id: Mapped[str]
    environment: Mapped[str]
    domain_id: Mapped[str | None]
    """The tenant's domain it lies under, if any."""
    route: Mapped[str]
    """A URL without credentials."""
    route_sealed: Mapped[bytes | None]
    """User name and password for the route, sealed."""
    weight: Mapped[int]
    streams: Mapped[list[str]] = mapped_column(sa.JSON)
    """Empty: any."""
    state: Mapped[str]
    source_id: Mapped[str | None]
    sign: Mapped[bool]
    stopped_by_operator: Mapped[bool] = mapped_column(sa.Boolean, default=False, server_default=sa.false())
    """Paused by the operator, who alone resumes it."""
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
