"""Events in the order of their commits, usage, facts of accepted mail, deliveries of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
oldest = "0001"


def upgrade() -> None:
    """Add columns and tables; a program of the schema before goes on beside it."""
    _order_events()
    _make_usage()
    _keep_facts()
    _make_idempotency()
    _find_by_owner()
    _make_webhook_deliveries()
    _make_notices()
    _seal_audit_head()


def _order_events() -> None:
    """What puts events of concurrent transactions in the order of their commits."""
    by_number = op.get_bind().dialect.name == "postgresql"
    default = "pg_current_xact_id()::text::bigint" if by_number else "0"
    for table in ("event", "refused"):
        xact = sa.Column("xact", sa.BigInteger(), nullable=False, server_default=sa.text(default))
        op.add_column(table, xact)
        where = sa.text("xact > 0")
        op.create_index(f"ix_{table}_xact", table, ["xact", "id"], sqlite_where=where)
    op.add_column("event", sa.Column("data", sa.Text(), nullable=True))
    for name in ("workspace_id", "environment"):
        op.add_column("refused", sa.Column(name, sa.Text(), nullable=True))


def _make_usage() -> None:
    """Counts by tenant and workspace for reports."""
    op.create_table(
        "usage_count",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month", "tenant_id", "workspace_id", "slot", name="pk_usage_count"),
        sqlite_with_rowid=False,
    )


def _keep_facts() -> None:
    """What policy saw of a message, for replays."""
    op.create_table(
        "message_facts",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_message_facts"),
    )


def _make_idempotency() -> None:
    """Messages taken by the API under a caller's key."""
    op.create_table(
        "idempotency",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("release_at", sa.Double(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_idempotency"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_at", "idempotency", ["at"])


def _find_by_owner() -> None:
    """Messages are found by tenant and account too: have all of them entered again."""
    op.execute("DELETE FROM lookup_mark")


def _make_webhook_deliveries() -> None:
    """Events on their way to webhooks, and where those who follow the events stand."""
    op.create_table(
        "feed_reader",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feed_reader"),
    )
    numbered = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "webhook_delivery",
        sa.Column("id", numbered, autoincrement=True, nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_at", sa.Double(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("ordered", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Double(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_delivery"),
    )
    op.create_index("ix_webhook_delivery_webhook_id_id", "webhook_delivery", ["webhook_id", "id"])
    pending = sa.text("state = 'pending'")
    for name, columns in (("due", ["next_attempt_at"]), ("ordered", ["ordered", "id"])):
        op.create_index(
            f"ix_webhook_delivery_{name}",
            "webhook_delivery",
            ["webhook_id", *columns],
            sqlite_where=pending,
            postgresql_where=pending,
        )


def _make_notices() -> None:
    """Which notices went out."""
    op.create_table(
        "notice",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "subject", name="pk_notice"),
        sqlite_with_rowid=False,
    )


def _seal_audit_head() -> None:
    """The seal of the audit's head; what was there is sealed by the program that upgrades."""
    op.add_column("audit_head", sa.Column("seal", sa.Text(), nullable=True))
