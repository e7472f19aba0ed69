"""`/v1/lists`: domains, top-level domains and addresses that rules name, and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from gateway.control.lists.items import MOST_AT_ONCE
from gateway.control.lists.view import ItemView, ListView
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.facts import MIB, Bounds
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, Metadata, MetadataChange, Name, Patch, Request, Text
from gateway.faces.api.operation import operation

api = APIRouter(tags=["lists"])

_BOUNDS = Bounds(4 * MIB)
Values = Annotated[tuple[Text, ...], Field(max_length=MOST_AT_ONCE)]


class ListCreate(Request):
    """A new list; without a tenant it is shared, for the rules of every tenant."""

    name: Name
    kind: Literal["domain", "tld", "address"]
    tenant: Name | None = None
    items: Values = ()
    description: Text | None = None
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class ListUpdate(Patch):
    """What is to change; items have requests of their own."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "description": ""}

    name: Name | None = None
    description: Text | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class Items(Request):
    """Up to 1000 entries: names of domains, top-level domains, or addresses, as the list's kind says."""

    items: Values


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> ListView:
    return services.lists.show(actor, path["list_name"])


@operation(api, "POST", "/lists", cli="list create", shows=ListView, status=201, bounds=_BOUNDS)
def create_list(call: Caller, body: ListCreate) -> ListView:
    """Make a list, with up to 1000 items."""
    return call.services.lists.create(call.actor, **body.given())


@operation(api, "GET", "/lists", cli="list list", shows=ListView, many=True)
def list_lists(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(paging("name", "tenant", "kind", "client_id", sorts=("name", "created_at", "updated_at"))),
    ],
) -> Page[ListView]:
    """Lists; those of a `tenant` are its own and the shared ones ("shared": these alone)."""
    return call.services.lists.page(call.actor, page)


@operation(api, "GET", "/lists/{list_name}", cli="list show", shows=ListView)
def show_list(call: Caller, list_name: str) -> ListView:
    """One list, by name or id; `items` says how many stand in it."""
    return call.services.lists.show(call.actor, list_name)


@operation(api, "PATCH", "/lists/{list_name}", cli="list update", shows=ListView, current=_current)
def update_list(call: Caller, list_name: str, body: ListUpdate) -> ListView:
    """Change a list's name, description or metadata."""
    return call.services.lists.update(call.actor, list_name, **body.changes())


@operation(api, "DELETE", "/lists/{list_name}", cli="list delete", shows=ListView, current=_current)
def delete_list(call: Caller, list_name: str) -> ListView:
    """Take a list away at once: rules that name it find nothing in it."""
    return call.services.lists.delete(call.actor, list_name)


@operation(api, "GET", "/lists/{list_name}/items", cli="list items", shows=ItemView, many=True)
def list_items(
    call: Caller, list_name: str, page: Annotated[PageQuery, Depends(paging("value", sorts=("value",)))]
) -> Page[ItemView]:
    """What stands in a list, sorted."""
    return call.services.lists.items(call.actor, list_name, page)


@operation(
    api, "POST", "/lists/{list_name}/items", cli="list add", shows=ListView, current=_current, bounds=_BOUNDS
)
def add_items(call: Caller, list_name: str, body: Items) -> ListView:
    """Add up to 1000 items; those that are there stay."""
    return call.services.lists.add_items(call.actor, list_name, body.items)


@operation(
    api,
    "POST",
    "/lists/{list_name}/items/remove",
    cli="list remove",
    shows=ListView,
    current=_current,
    bounds=_BOUNDS,
)
def remove_items(call: Caller, list_name: str, body: Items) -> ListView:
    """Take up to 1000 items out; those that are not there are left out."""
    return call.services.lists.remove_items(call.actor, list_name, body.items)


@operation(
    api,
    "PUT",
    "/lists/{list_name}/items",
    cli="list replace",
    shows=ListView,
    current=_current,
    bounds=_BOUNDS,
)
def replace_items(call: Caller, list_name: str, body: Items) -> ListView:
    """Let these, up to 1000, be all that stands in a list."""
    return call.services.lists.replace_items(call.actor, list_name, body.items)
