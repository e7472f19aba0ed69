"""The table of tenants."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of

STATUSES = ("active", "suspended", "deleting")


class TenantRow(Base):
    """A customer organisation; one of them is the platform itself."""

    __tablename__ = "tenants"
    __table_args__ = (
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"]),
        sa.UniqueConstraint("name_key"),
        sa.UniqueConstraint("slug"),
        sa.UniqueConstraint("client_id"),
        one_of("status", STATUSES),
        sa.Index(
            "uq_tenants_is_platform",
            "is_platform",
            unique=True,
            sqlite_where=sa.text("is_platform"),
            postgresql_where=sa.text("is_platform"),
        ),
    )

    id: Mapped[Id]
    name: Mapped[str]
    name_key: Mapped[str]
    slug: Mapped[str]
    """Its label below the trial zone."""
    plan_id: Mapped[str]
    status: Mapped[str]
    status_reason: Mapped[str | None]
    is_platform: Mapped[bool]
    contacts: Mapped[list[str]] = mapped_column(sa.JSON)
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
    suspended_at: Mapped[OptionalTime]
    purge_at: Mapped[OptionalTime]
    """When a tenant that is being deleted will be gone."""
    notices: Mapped[bool] = mapped_column(sa.Boolean, default=True)
    """Whether its contacts are written to."""
