"""Shards under a claim that came to nothing: whoever proves a name finds none of its names taken."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.control.domains.model import HELD, DomainRow
from gateway.control.keys.model import KeyRow
from gateway.control.recording import record
from gateway.control.shards.model import ShardRow
from gateway.control.shards.view import shard_view
from gateway.control.transaction import ControlChange

_GONE = "released.invalid"
"""Nobody's zone (RFC 6761 §6.4): a released shard keeps its id, for what names it, and no name."""


def release_shards(change: ControlChange, held: DomainRow) -> int:
    """Retire the shards of other tenants at and below a proved name, each audited; how many there were.

    Those under a domain that their tenant holds itself (it was delegated) stay.
    """
    statement = (
        sa.select(ShardRow)
        .outerjoin(DomainRow, DomainRow.id == ShardRow.domain_id)
        .where(
            ShardRow.tenant_id != held.tenant_id,
            sa.or_(ShardRow.name == held.name, ShardRow.name.endswith("." + held.name, autoescape=True)),
            sa.or_(ShardRow.domain_id.is_(None), DomainRow.state.not_in(HELD)),
        )
        .order_by(ShardRow.id)
    )
    rows, result = change.session.scalars(statement).all(), change.result
    for row in rows:
        _release(change, row, held.name)
    change.result = result  # the request was about the domain
    return len(rows)


def _release(change: ControlChange, row: ShardRow, name: str) -> None:
    before = shard_view(change.session, row)
    row.name, row.state, row.sign = f"{row.id}.{_GONE}", "retired", False
    row.updated_at = change.now
    for key in change.session.scalars(sa.select(KeyRow).where(KeyRow.shard_id == row.id)):
        if key.state not in ("revoked", "destroyed"):
            key.state, key.ended_at = "revoked", change.now
            change.changed("key", key.id, tenant_id=key.tenant_id)
    change.session.flush()
    after = shard_view(change.session, row)
    record(change, "shard.release", "shard", before, after, lost=f"another tenant has proved {name}")
