"""The tables of policies: the documents in force, and every version that ever was."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, Time, one_of

KINDS = ("policy", "plan")


class PolicyRow(Base):
    """A policy by its name, at the version in force. (Plans have a table like it in their own room.)"""

    __tablename__ = "policies"
    __table_args__ = (
        sa.UniqueConstraint("name"),
        sa.Index("uq_policies_client_id", "client_id", unique=True),
    )

    id: Mapped[Id]
    name: Mapped[str]
    version: Mapped[int]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata] = mapped_column(sa.JSON, default=dict)
    created_at: Mapped[Time]
    updated_at: Mapped[Time]


class DocumentVersionRow(Base):
    """One version of a policy's or plan's document: as it was written and as it was read. Never changed."""

    __tablename__ = "document_versions"
    __table_args__ = (sa.UniqueConstraint("kind", "name", "version"), one_of("kind", KINDS))

    id: Mapped[Id]
    kind: Mapped[str]
    name: Mapped[str]
    version: Mapped[int]
    document: Mapped[str]
    """The TOML text."""
    data: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    """The same, parsed."""
    created_at: Mapped[Time]
    created_by: Mapped[str]
    """The actor: `cli:root`, `system:bootstrap`."""
