"""The operations, a file a resource. Each has a router called `api`."""

from __future__ import annotations

from gateway.faces.api.routes import (
    accounts,
    apikeys,
    declarations,
    dkimkeys,
    domains,
    limits,
    lists,
    mail,
    messages,
    passwords,
    plans,
    policies,
    provisioning,
    queue,
    shards,
    sources,
    tenants,
    webhooks,
    workspaces,
)

ROOMS = (
    accounts,
    apikeys,
    declarations,
    dkimkeys,
    domains,
    limits,
    lists,
    mail,
    messages,
    passwords,
    plans,
    policies,
    provisioning,
    queue,
    shards,
    sources,
    tenants,
    webhooks,
    workspaces,
)
