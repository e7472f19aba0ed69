"""Shards as people see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import DomainRow
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard; `route` without credentials, `has_credentials` says whether it has some.

    `domain` is the tenant's domain it lies under, `source` the HELO name of its source address.
    """

    id: str
    name: str
    tenant_id: str
    environment: str
    domain: str | None
    route: str
    has_credentials: bool
    streams: tuple[str, ...]
    weight: int
    state: str
    source: str | None
    sign: bool
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def shard_view(session: Session, row: ShardRow) -> ShardView:
    """The view of a row."""
    return shard_views(session, [row])[0]


def shard_views(session: Session, rows: Sequence[ShardRow]) -> list[ShardView]:
    """The views of rows, in their order."""
    domains = sa.select(DomainRow.id, DomainRow.name).where(DomainRow.id.in_({row.domain_id for row in rows}))
    sources = sa.select(SourceRow.id, SourceRow.helo).where(SourceRow.id.in_({row.source_id for row in rows}))
    names = dict(session.execute(domains).all()) | dict(session.execute(sources).all())
    return [_view(row, names.get(row.domain_id or ""), names.get(row.source_id or "")) for row in rows]


def _view(row: ShardRow, domain: str | None, source: str | None) -> ShardView:
    return ShardView(
        id=row.id,
        name=row.name,
        tenant_id=row.tenant_id,
        environment=row.environment,
        domain=domain,
        route=row.route,
        has_credentials=row.route_sealed is not None,
        streams=tuple(row.streams),
        weight=row.weight,
        state=row.state,
        source=source,
        sign=row.sign,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
