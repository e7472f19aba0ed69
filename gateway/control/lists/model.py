"""The tables of lists and of what stands in them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, Time, one_of

SHARED = "shared"
KINDS = ("domain", "tld", "address")


class ListRow(Base):
    """A named list. `owner` is its tenant's id, or "shared": the operator's, for every tenant's rules."""

    __tablename__ = "lists"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.UniqueConstraint("owner", "name"),
        sa.UniqueConstraint("owner", "client_id"),
        one_of("kind", KINDS),
        sa.CheckConstraint(
            "(owner = 'shared' AND tenant_id IS NULL) OR (owner = tenant_id AND tenant_id IS NOT NULL)",
            name="owner",
        ),
    )

    id: Mapped[Id]
    name: Mapped[str]
    owner: Mapped[str]
    tenant_id: Mapped[str | None]
    kind: Mapped[str]
    description: Mapped[str | None]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]


class ListItemRow(Base):
    """One entry of a list, in the form in which rules compare it."""

    __tablename__ = "list_items"
    __table_args__ = (sa.ForeignKeyConstraint(["list_id"], ["lists.id"]),)

    list_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    value: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    created_at: Mapped[Time]
