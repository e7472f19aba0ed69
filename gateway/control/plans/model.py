"""The table of plans: named documents; what they say is read by gateway.control.policies."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, Time


class PlanRow(Base):
    """A tier: the most a tenant may have."""

    __tablename__ = "plans"
    __table_args__ = (
        sa.UniqueConstraint("name"),
        sa.Index("uq_plans_client_id", "client_id", unique=True),
    )

    id: Mapped[Id]
    name: Mapped[str]
    document: Mapped[str]
    """The TOML text as it was applied."""
    version: Mapped[int]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata] = mapped_column(sa.JSON, default=dict)
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
