"""Everything that files can declare, written as files that change nothing when they are applied."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.control.declarations.handlers import Handler
from gateway.control.declarations.values import Kind, Value
from gateway.control.declarations.writing import table
from gateway.control.policies import PolicySet
from gateway.control.shards.model import ShardRow
from gateway.control.tenants.model import TenantRow

PLATFORM_FILE = "platform.toml"
_SECRET = "its user name and password are not exported: `gatepost shard route` sets them"
_HEADERS: dict[Kind, str] = {
    "source": "sources",
    "tenant": "tenants",
    "list": "lists",
    "workspace": "workspaces",
    "domain": "domains",
    "shard": "shards",
}


def exported(policies: PolicySet, rooms: dict[Kind, Handler]) -> Iterator[tuple[str, str]]:
    """Paths and texts: policy documents, the platform's own, then a file for each tenant."""
    for document in policies.documents:
        folder = "policies/plans" if document.kind == "plan" else "policies"
        yield f"{folder}/{document.name}.toml", document.text
    own: list[Kind] = ["source", "workspace", "list"]
    text = "\n".join(part for kind in own for part in _tables(rooms, kind, None, ""))
    if text:
        yield PLATFORM_FILE, text
    for tenant in rooms["tenant"].rows(None):
        yield f"tenants/{tenant.slug}.toml", "\n".join(_tenant(rooms, tenant))


def _tenant(rooms: dict[Kind, Handler], tenant: TenantRow) -> Iterator[str]:
    trial = tuple(row.environment for row in rooms["trial"].rows(tenant))
    fields: dict[str, Value] = {"name": tenant.name, **rooms["tenant"].state(tenant), "trial": trial}
    yield table(_HEADERS["tenant"], fields)
    inner: list[Kind] = ["workspace", "domain", "shard", "list"]
    for kind in inner:
        yield from _tables(rooms, kind, tenant, "tenants.")


def _tables(rooms: dict[Kind, Handler], kind: Kind, owner: TenantRow | None, prefix: str) -> Iterator[str]:
    handler = rooms[kind]
    for row in handler.rows(owner):
        name = "helo" if kind == "source" else "name"
        remark = _SECRET if isinstance(row, ShardRow) and row.route_sealed is not None else None
        yield table(prefix + _HEADERS[kind], {name: handler.name(row), **handler.state(row)}, remark)
