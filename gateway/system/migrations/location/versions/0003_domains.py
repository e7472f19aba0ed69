"""What DNS has of the platform's names, and what was seen of domains."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
oldest = "0002"


def upgrade() -> None:
    """Add tables; a program of the schema before goes on beside it."""
    _make_published_records()
    _make_watch()


def _make_published_records() -> None:
    """Records that the gateway put into the platform's zones, or is to put there."""
    op.create_table(
        "published_record",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("wanted", sa.Text(), nullable=True),
        sa.Column("published", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("published_at", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", "type", name="pk_published_record"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_published_record_owner", "published_record", ["owner"])
    waiting = sa.text("next_attempt_at IS NOT NULL")
    op.create_index(
        "ix_published_record_next_attempt_at",
        "published_record",
        ["next_attempt_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _make_watch() -> None:
    """What the watch knows of each domain, and every change that it saw."""
    op.create_table(
        "domain_watch",
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("records", sa.Text(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=True),
        sa.Column("next_look_at", sa.Double(), nullable=True),
        sa.Column("proved_at", sa.Double(), nullable=True),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("domain_id", name="pk_domain_watch"),
        sqlite_with_rowid=False,
    )
    planned = sa.text("next_look_at IS NOT NULL")
    op.create_index(
        "ix_domain_watch_next_look_at",
        "domain_watch",
        ["next_look_at"],
        sqlite_where=planned,
        postgresql_where=planned,
    )
    op.create_table(
        "domain_history",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_domain_history"),
    )
    op.create_index("ix_domain_history_domain_id_id", "domain_history", ["domain_id", "id"])
