"""The table of what was published, in the default location's database."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_IS_WAITING = sa.text("next_attempt_at IS NOT NULL")

published_record = sa.Table(
    "published_record",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("tenant_id", sa.Text, nullable=True),
    sa.Column("wanted", sa.Text, nullable=True),
    sa.Column("published", sa.Text, nullable=True),
    sa.Column("changed_at", sa.Double, nullable=False),
    sa.Column("published_at", sa.Double, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Double, nullable=True),
    sa.Column("error", sa.Text, nullable=True),
    sa.Index("ix_published_record_owner", "owner"),
    sa.Index(
        "ix_published_record_next_attempt_at",
        "next_attempt_at",
        sqlite_where=_IS_WAITING,
        postgresql_where=_IS_WAITING,
    ),
    sqlite_with_rowid=False,
)
"""All records of a name and type: `wanted` and `published` are JSON lists of values, null for none.

`owner`: the domain (or shard without one) that they are for, or "platform". What is wanted and not
published is tried at `next_attempt_at`, seconds since 1970; `error` says how the last attempt ended.
"""
