"""The operations, a file a resource. Each has a router called `api`."""

from __future__ import annotations

from gateway.faces.api.routes import apikeys, dkimkeys, domains, shards, sources, tenants

ROOMS = (
    apikeys,
    dkimkeys,
    domains,
    shards,
    sources,
    tenants,
)
