"""The table of raised limits."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time


class RaiseRow(Base):
    """Limits of an account, or of a tenant in each of its workspaces, raised until a time."""

    __tablename__ = "limit_raises"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(["account_id", "tenant_id"], ["accounts.id", "accounts.tenant_id"]),
        sa.UniqueConstraint("tenant_id", "client_id"),
        sa.Index("ix_limit_raises_tenant_id", "tenant_id"),
        sa.Index("ix_limit_raises_until", "until"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[str]
    account_id: Mapped[str | None]
    """None: the tenant's own limits are raised."""
    limits: Mapped[dict[str, int]] = mapped_column(sa.JSON)
    """By the limit's name, such as messages_per_day."""
    reason: Mapped[str]
    until: Mapped[Time]
    revoked_at: Mapped[OptionalTime]
    created_by: Mapped[str]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
