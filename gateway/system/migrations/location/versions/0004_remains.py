"""Deliveries to webhooks are found by their tenant: they go when it goes."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
oldest = "0002"


def upgrade() -> None:
    """Add an index; a program of the schema before goes on beside it."""
    op.create_index("ix_webhook_delivery_tenant_id", "webhook_delivery", ["tenant_id"])
