"""The table of addresses that the platform sends from."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, Time, one_of
from gateway.control.records import SourceRecord

STATES = ("active", "retired")


class SourceRow(Base):
    """An IPv4 address, an IPv6 address or both, under one HELO name."""

    __tablename__ = "source_addresses"
    __table_args__ = (
        sa.UniqueConstraint("helo"),
        sa.UniqueConstraint("ipv4"),
        sa.UniqueConstraint("ipv6"),
        sa.Index("uq_source_addresses_client_id", "client_id", unique=True),
        sa.CheckConstraint("ipv4 IS NOT NULL OR ipv6 IS NOT NULL", name="address"),
        one_of("state", STATES),
    )

    id: Mapped[Id]
    helo: Mapped[str]
    ipv4: Mapped[str | None]
    ipv6: Mapped[str | None]
    pool: Mapped[str]
    plans: Mapped[list[str]] = mapped_column(sa.JSON)
    """Names of the plans whose tenants may use it; empty: all."""
    state: Mapped[str]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata] = mapped_column(sa.JSON, default=dict)
    created_at: Mapped[Time]
    updated_at: Mapped[Time]

    def record(self) -> SourceRecord:
        """The row as the data plane sees it."""
        return SourceRecord(id=self.id, ipv4=self.ipv4, ipv6=self.ipv6, helo=self.helo, pool=self.pool)
