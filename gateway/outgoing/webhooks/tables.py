"""The table of deliveries to webhooks."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.outgoing.queue.tables import metadata

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
SKIPPED = "skipped"
STATES = (PENDING, DELIVERED, FAILED, SKIPPED)

IS_PENDING = sa.text("state = 'pending'")
"""SQLite uses a partial index only if the query names its condition literally."""

delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column(
        "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    ),
    sa.Column("webhook_id", sa.Text, nullable=False),
    sa.Column("tenant_id", sa.Text, nullable=True),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("event_at", sa.Double, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("ordered", sa.Text, nullable=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Double, nullable=True),
    sa.Column("last_status", sa.Integer, nullable=True),
    sa.Column("last_error", sa.Text, nullable=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double, nullable=True),
    sa.Index("ix_webhook_delivery_tenant_id", "tenant_id"),
    sa.Index("ix_webhook_delivery_webhook_id_id", "webhook_id", "id"),
    sa.Index(
        "ix_webhook_delivery_due",
        "webhook_id",
        "next_attempt_at",
        sqlite_where=IS_PENDING,
        postgresql_where=IS_PENDING,
    ),
    sa.Index(
        "ix_webhook_delivery_ordered",
        "webhook_id",
        "ordered",
        "id",
        sqlite_where=IS_PENDING,
        postgresql_where=IS_PENDING,
    ),
)
"""One row for an event and a webhook, kept for 14 days. Ids are in the order of the feed; `tenant_id` is the
event's; of those with the same `ordered` only the first that is pending may go."""
