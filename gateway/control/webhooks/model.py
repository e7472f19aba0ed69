"""The tables of webhooks and of the secrets that sign what is sent to them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of
from gateway.control.records import ENVIRONMENTS

STATES = ("active", "paused", "disabled")


class WebhookRow(Base):
    """An address that gets events: of its tenant, or of all tenants where `tenant_id` is NULL."""

    __tablename__ = "webhooks"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("tenant_id", "client_id"),
        one_of("state", STATES),
        one_of("environment", ENVIRONMENTS),
    )

    id: Mapped[Id]
    tenant_id: Mapped[str | None]
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(sa.JSON)
    """Event types, or prefixes such as "message.*"; "*": all."""
    environment: Mapped[str | None]
    workspace_id: Mapped[str | None]
    description: Mapped[str | None]
    state: Mapped[str]
    state_reason: Mapped[str | None]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]


class WebhookSecretRow(Base):
    """A secret that signs. One without an end is the webhook's own; one with an end was followed by it."""

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], ondelete="CASCADE"),
        sa.Index("ix_webhook_secrets_webhook_id", "webhook_id"),
    )

    id: Mapped[Id]
    webhook_id: Mapped[str]
    tenant_id: Mapped[str | None]
    sealed: Mapped[bytes]
    created_at: Mapped[Time]
    expires_at: Mapped[OptionalTime]
