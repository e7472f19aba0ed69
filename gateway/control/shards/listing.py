"""How shards are listed."""

from __future__ import annotations

from gateway.control.filters import among, in_environment, of_domain, of_tenant
from gateway.control.paging import Listing
from gateway.control.shards.model import STATES, ShardRow
from gateway.control.shards.view import shard_views

LISTING = Listing(
    row=ShardRow,
    views=shard_views,
    sorts={"name": ShardRow.name, "created_at": ShardRow.created_at, "updated_at": ShardRow.updated_at},
    filters={
        "name": ShardRow.name,
        "tenant": of_tenant(ShardRow.tenant_id),
        "domain": of_domain(ShardRow.domain_id),
        "environment": in_environment(ShardRow.environment),
        "state": among(ShardRow.state, STATES, "state"),
        "client_id": ShardRow.client_id,
    },
)
