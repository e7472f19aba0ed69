"""Source addresses as the operator sees them, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.filters import among
from gateway.control.paging import Listing
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import STATES, SourceRow


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source address as the operator sees it; `plans` empty: every plan. Its name is its HELO name."""

    id: str
    name: str
    tenant_id: None
    ipv4: str | None
    ipv6: str | None
    helo: str
    pool: str
    plans: tuple[str, ...]
    state: str
    shards: int
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def source_view(session: Session, row: SourceRow) -> SourceView:
    """The view of a row, with the number of shards that send from it."""
    return source_views(session, [row])[0]


def source_views(session: Session, rows: Sequence[SourceRow]) -> list[SourceView]:
    """The views of rows, in their order."""
    used = (
        sa.select(ShardRow.source_id, sa.func.count())
        .where(ShardRow.source_id.in_([row.id for row in rows]), ShardRow.state != "retired")
        .group_by(ShardRow.source_id)
    )
    shards = dict(session.execute(used).all())
    return [_view(row, shards.get(row.id, 0)) for row in rows]


def _view(row: SourceRow, shards: int) -> SourceView:
    return SourceView(
        id=row.id,
        name=row.helo,
        tenant_id=None,
        ipv4=row.ipv4,
        ipv6=row.ipv6,
        helo=row.helo,
        pool=row.pool,
        plans=tuple(row.plans),
        state=row.state,
        shards=shards,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


LISTING = Listing(
    row=SourceRow,
    views=source_views,
    sorts={"name": SourceRow.helo, "created_at": SourceRow.created_at, "updated_at": SourceRow.updated_at},
    filters={
        "name": SourceRow.helo,
        "pool": SourceRow.pool,
        "state": among(SourceRow.state, STATES, "state"),
        "client_id": SourceRow.client_id,
    },
)
