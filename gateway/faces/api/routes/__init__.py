"""The operations, a file a resource. Each has a router called `api`."""

from __future__ import annotations

from gateway.faces.api.routes import (
    accounts,
    apikeys,
    dkimkeys,
    domains,
    passwords,
    plans,
    policies,
    shards,
    sources,
    tenants,
    workspaces,
)

ROOMS = (
    accounts,
    apikeys,
    dkimkeys,
    domains,
    passwords,
    plans,
    policies,
    shards,
    sources,
    tenants,
    workspaces,
)
