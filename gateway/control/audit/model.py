"""The tables of the audit: entries that form a chain, and their payloads apart.

A payload may be erased by law; its hash stays in the entry, and another entry says who erased it: see
gateway.control.audit.erasure.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Time


class AuditEntryRow(Base):
    """Who changed what, when and from where. `number` counts without gaps in the order of the commits."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        sa.UniqueConstraint("id"),
        sa.Index("ix_audit_entries_resource_id", "resource_id"),
        sa.Index("ix_audit_entries_tenant_id_number", "tenant_id", "number"),
    )

    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str]
    at: Mapped[Time]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_address: Mapped[str | None]
    operation: Mapped[str]
    """The command's or API operation's word, such as "domain.mark-verified"."""
    resource_kind: Mapped[str]
    resource_id: Mapped[str]
    tenant_id: Mapped[str | None]
    request_id: Mapped[str | None]
    previous_hash: Mapped[str]
    payload_hash: Mapped[str]
    chain_hash: Mapped[str]


class AuditPayloadRow(Base):
    """Before and after of an entry: canonical JSON, secrets left out."""

    __tablename__ = "audit_payloads"
    __table_args__ = (sa.ForeignKeyConstraint(["number"], ["audit_entries.number"]),)

    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    before: Mapped[str | None]
    after: Mapped[str | None]
