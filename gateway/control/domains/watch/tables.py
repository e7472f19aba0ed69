"""The tables of the watch, in the default location's database."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_NUMBERED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_IS_PLANNED = sa.text("next_look_at IS NOT NULL")

watch = sa.Table(
    "domain_watch",
    metadata,
    sa.Column("domain_id", sa.Text, primary_key=True),
    sa.Column("tenant_id", sa.Text, nullable=False),
    sa.Column("records", sa.Text, nullable=False),
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("looked_at", sa.Double, nullable=True),
    sa.Column("next_look_at", sa.Double, nullable=True),
    sa.Column("proved_at", sa.Double, nullable=True),
    sa.Column("remarks", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Index(
        "ix_domain_watch_next_look_at",
        "next_look_at",
        sqlite_where=_IS_PLANNED,
        postgresql_where=_IS_PLANNED,
    ),
    sqlite_with_rowid=False,
)
"""What is known of each domain that is watched; `records` and `remarks` are JSON. No `next_look_at`: none."""

history = sa.Table(
    "domain_history",
    metadata,
    sa.Column("id", _NUMBERED, primary_key=True, autoincrement=True),
    sa.Column("domain_id", sa.Text, nullable=False),
    sa.Column("tenant_id", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=True),
    sa.Column("purpose", sa.Text, nullable=True),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("found", sa.Text, nullable=False),
    sa.Column("hint", sa.Text, nullable=True),
    sa.Index("ix_domain_history_domain_id_id", "domain_id", "id"),
)
"""One row for each change that was observed, kept for a year; `found` is JSON."""
