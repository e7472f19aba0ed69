"""`/v1/source-addresses`: where the platform sends from; the operator's alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends

from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.control.sources.view import SourceView
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, LongName, Metadata, MetadataChange, Name, Patch, Request
from gateway.faces.api.operation import operation

api = APIRouter(tags=["source-addresses"])


class SourceCreate(Request):
    """A new address; `helo` is the name that its PTR record shows."""

    helo: LongName
    ipv4: Name | None = None
    ipv6: Name | None = None
    pool: Name = "default"
    plans: tuple[Name, ...] = ()
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class SourceUpdate(Patch):
    """What is to change; `plans` null: every plan."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "plans": ()}

    pool: Name | None = None
    plans: tuple[Name, ...] | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> SourceView:
    return services.sources.show(actor, path["source"])


@operation(api, "POST", "/source-addresses", cli="source create", shows=SourceView, status=201)
def create_source(call: Caller, body: SourceCreate) -> SourceView:
    """Add a source address."""
    return call.services.sources.create(call.actor, **body.given())


@operation(api, "GET", "/source-addresses", cli="source list", shows=SourceView, many=True)
def list_sources(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(paging("name", "pool", "state", "client_id", sorts=("name", "created_at", "updated_at"))),
    ],
) -> Page[SourceView]:
    """Source addresses."""
    return call.services.sources.page(call.actor, page)


@operation(api, "GET", "/source-addresses/{source}", cli="source show", shows=SourceView)
def show_source(call: Caller, source: str) -> SourceView:
    """One source address, by HELO name or id."""
    return call.services.sources.show(call.actor, source)


@operation(
    api, "PATCH", "/source-addresses/{source}", cli="source update", shows=SourceView, current=_current
)
def update_source(call: Caller, source: str, body: SourceUpdate) -> SourceView:
    """Change an address's pool, plans, client_id or metadata; shards that send from it go on."""
    return call.services.sources.update(call.actor, source, **body.changes())


@operation(
    api,
    "POST",
    "/source-addresses/{source}/retire",
    cli="source retire",
    shows=SourceView,
    current=_current,
)
def retire_source(call: Caller, source: str) -> SourceView:
    """Take an address from its shards, which choose another."""
    return call.services.sources.retire(call.actor, source)
