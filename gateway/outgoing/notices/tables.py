"""The table of notices that went out."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.outgoing.queue.tables import metadata

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("sent_at", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)
"""When contacts were last told of a kind of thing about a subject: once a day is enough."""
