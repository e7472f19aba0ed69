"""`/v1/limits`: limits raised for a time, within the plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from gateway.control.paging import Page, PageQuery
from gateway.control.raises.view import RaiseView
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import (
    ClientId,
    LongName,
    Metadata,
    MetadataChange,
    Name,
    Patch,
    Request,
    Text,
    seconds,
)
from gateway.faces.api.operation import operation

api = APIRouter(tags=["limits"])

Value = Annotated[int, Field(ge=0, le=2**53)] | Name


class LimitRaise(Request):
    """Higher limits of an account (address, grant id) or of a tenant (name, id) until a time.

    `limits`: by name, such as `messages_per_day` or short `daily`; sizes may have units.
    """

    target: LongName
    limits: Annotated[dict[Name, Value], Field(min_length=1, max_length=20)]
    until: datetime
    reason: Text
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class LimitUpdate(Patch):
    """The caller's own words for a raise; another raise says other limits."""

    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> RaiseView:
    return services.raises.show(actor, path["limit"])


@operation(api, "POST", "/limits", cli="limit raise", shows=RaiseView, status=201)
def raise_limit(call: Caller, body: LimitRaise) -> RaiseView:
    """Raise limits of an account or a tenant for a time, up to the plan's; effective within a second."""
    given = {**body.given(), "until": seconds(body.until)}
    return call.services.raises.create(call.actor, given.pop("target"), given.pop("limits"), **given)


@operation(api, "GET", "/limits", cli="limit list", shows=RaiseView, many=True)
def list_limits(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(paging("tenant", "account", "state", "client_id", sorts=("created_at", "until"))),
    ],
) -> Page[RaiseView]:
    """Raised limits: active, ended, revoked."""
    return call.services.raises.page(call.actor, page)


@operation(api, "GET", "/limits/{limit}", cli="limit show", shows=RaiseView)
def show_limit(call: Caller, limit: str) -> RaiseView:
    """One raise, by its id."""
    return call.services.raises.show(call.actor, limit)


@operation(api, "PATCH", "/limits/{limit}", cli="limit update", shows=RaiseView, current=_current)
def update_limit(call: Caller, limit: str, body: LimitUpdate) -> RaiseView:
    """Change the caller's own id and pairs of a raise."""
    return call.services.raises.update(call.actor, limit, **body.changes())


@operation(api, "DELETE", "/limits/{limit}", cli="limit revoke", shows=RaiseView, current=_current)
def revoke_limit(call: Caller, limit: str) -> RaiseView:
    """End a raise now."""
    return call.services.raises.revoke(call.actor, limit)
