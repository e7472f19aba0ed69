"""Shards as people see them."""

from __future__ import annotations

from dataclasses import dataclass

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
    domain = session.get(DomainRow, row.domain_id) if row.domain_id is not None else None
    source = session.get(SourceRow, row.source_id) if row.source_id is not None else None
    return ShardView(
        id=row.id,
        name=row.name,
        tenant_id=row.tenant_id,
        environment=row.environment,
        domain=domain.name if domain is not None else None,
        route=row.route,
        has_credentials=row.route_sealed is not None,
        streams=tuple(row.streams),
        weight=row.weight,
        state=row.state,
        source=source.helo if source is not None else None,
        sign=row.sign,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
