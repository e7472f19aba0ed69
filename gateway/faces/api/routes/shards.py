"""`/v1/shards`: the sending sub-domains that mail leaves through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends
from pydantic import Field

from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor, Environment
from gateway.control.services import ControlServices
from gateway.control.shards.view import ShardView
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, LongName, Metadata, MetadataChange, Name, Patch, Request, Text
from gateway.faces.api.operation import operation

api = APIRouter(tags=["shards"])

Weight = Annotated[int, Field(ge=1, le=1_000)]


class ShardCreate(Request):
    """A new shard; `name` is its full domain name. No `route`: the installation's default."""

    name: LongName
    tenant: Name
    environment: Environment = "production"
    route: Text | None = None
    streams: tuple[Name, ...] = ()
    weight: Weight = 1
    sign: bool = False
    pool: Name | None = None
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class ShardUpdate(Patch):
    """What is to change; `streams` null: any."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "streams": ()}

    weight: Weight | None = None
    streams: tuple[Name, ...] | None = None
    sign: bool | None = None
    route: Text | None = None
    pool: Name | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class RouteChange(Request):
    """The new way: `mx`, `smtp://host[:port]`, `smtps://…`, `capture:` or `capture:/folder`."""

    route: Text


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> ShardView:
    return services.shards.show(actor, path["shard"])


@operation(api, "POST", "/shards", cli="shard create", shows=ShardView, status=201)
def create_shard(call: Caller, body: ShardCreate) -> ShardView:
    """Make a shard, with a source address and, with `sign`, a key of its own."""
    return call.services.shards.create(call.actor, **body.given())


@operation(api, "GET", "/shards", cli="shard list", shows=ShardView, many=True)
def list_shards(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(
            paging(
                "name",
                "tenant",
                "domain",
                "environment",
                "state",
                "client_id",
                sorts=("name", "created_at", "updated_at"),
            )
        ),
    ],
) -> Page[ShardView]:
    """Shards."""
    return call.services.shards.page(call.actor, page)


@operation(api, "GET", "/shards/{shard}", cli="shard show", shows=ShardView)
def show_shard(call: Caller, shard: str) -> ShardView:
    """One shard, by name or id."""
    return call.services.shards.show(call.actor, shard)


@operation(api, "PATCH", "/shards/{shard}", cli="shard update", shows=ShardView, current=_current)
def update_shard(call: Caller, shard: str, body: ShardUpdate) -> ShardView:
    """Change a shard's weight, streams, signature, route, pool, client_id or metadata."""
    return call.services.shards.update(call.actor, shard, **body.changes())


@operation(api, "POST", "/shards/{shard}/route", cli="shard route", shows=ShardView, current=_current)
def route_shard(call: Caller, shard: str, body: RouteChange) -> ShardView:
    """Send a shard's mail another way. A password in the URL is sealed and never shown."""
    return call.services.shards.route(call.actor, shard, body.route)


@operation(api, "POST", "/shards/{shard}/pause", cli="shard pause", shows=ShardView, current=_current)
def pause_shard(call: Caller, shard: str) -> ShardView:
    """Let a shard's mail wait."""
    return call.services.shards.pause(call.actor, shard)


@operation(api, "POST", "/shards/{shard}/resume", cli="shard resume", shows=ShardView, current=_current)
def resume_shard(call: Caller, shard: str) -> ShardView:
    """Let a paused shard's mail go on."""
    return call.services.shards.resume(call.actor, shard)


@operation(api, "POST", "/shards/{shard}/retire", cli="shard retire", shows=ShardView, current=_current)
def retire_shard(call: Caller, shard: str) -> ShardView:
    """Give a shard no new mail, for ever; what is queued still leaves through it."""
    return call.services.shards.retire(call.actor, shard)
