"""`/v1/api-keys`: who may call the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from gateway.control.apikeys.service import ApiKeyView
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor, Environment, Right
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Call, Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, Metadata, Name, Request, Text, model_of, seconds, with_fields
from gateway.faces.api.operation import Tagged, operation
from gateway.system.rendering import plain

api = APIRouter(tags=["api-keys"])

SHOWN: type[BaseModel] = with_fields(
    model_of(ApiKeyView), "ApiKeyShown", last_used_at=datetime | None, last_used_address=str | None
)
MADE: type[BaseModel] = with_fields(model_of(ApiKeyView), "ApiKeyMade", key=str | None, fix=str | None)


class ApiKeyCreate(Request):
    """A new key, narrower than the caller or as wide."""

    name: Name
    tenant: Name | None = None
    workspace: Name | None = None
    environment: Environment | None = None
    rights: tuple[Right, ...] = ("read",)
    networks: tuple[Text, ...] = ()
    expires_at: datetime | None = None
    client_id: ClientId | None = None
    metadata: Metadata | None = None


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> ApiKeyView:
    return services.api_keys.show(actor, path["api_key"])


@operation(api, "POST", "/api-keys", cli="api-key create", shows=MADE, status=201)
def create_api_key(call: Caller, body: ApiKeyCreate) -> Tagged:
    """Make a key. It is shown in this reply and never again."""
    given = body.given()
    if "expires_at" in given:
        given["expires_at"] = seconds(body.expires_at)
    view, key = call.services.api_keys.create(call.actor, **given)
    return Tagged({**plain(view), "key": key, "fix": None}, view)


@operation(api, "GET", "/api-keys", cli="api-key list", shows=SHOWN, many=True)
def list_api_keys(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(paging("name", "tenant", "environment", "client_id", sorts=("created_at", "name"))),
    ],
) -> Page[dict[str, object]]:
    """Keys that reach no further than the caller, with their last use."""
    found = call.services.api_keys.list(call.actor, page)
    return Page(tuple(_with_use(call, *found.items)), found.cursor)


@operation(api, "GET", "/api-keys/{api_key}", cli="api-key show", shows=SHOWN)
def show_api_key(call: Caller, api_key: str) -> Tagged:
    """One key, by its name, key id or id, without its secret."""
    view = call.services.api_keys.show(call.actor, api_key)
    return Tagged(_with_use(call, view)[0], view)


@operation(api, "DELETE", "/api-keys/{api_key}", cli="api-key revoke", shows=ApiKeyView, current=_current)
def revoke_api_key(call: Caller, api_key: str) -> ApiKeyView:
    """Make a key worthless for ever."""
    return call.services.api_keys.revoke(call.actor, api_key)


def _with_use(call: Call, *views: ApiKeyView) -> list[dict[str, object]]:
    uses = call.parts.queue.credential_uses([view.id for view in views])
    rows = []
    for view in views:
        use = uses.get(view.id)
        last = {
            "last_used_at": use.last_used_at if use is not None else None,
            "last_used_address": use.last_used_address if use is not None else None,
        }
        rows.append({**plain(view), **plain(last)})
    return rows
