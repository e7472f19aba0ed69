"""`/v1/webhooks`: where events are sent, and what became of sending them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from gateway.control.paging import LONGEST_PAGE, Page, PageQuery
from gateway.control.records import Actor, Environment
from gateway.control.services import ControlServices
from gateway.control.webhooks.view import WebhookView
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import CursorQuery, paging
from gateway.faces.api.models import (
    ClientId,
    Metadata,
    MetadataChange,
    Name,
    Patch,
    Request,
    Text,
    model_of,
    seconds,
    with_fields,
)
from gateway.faces.api.operation import operation
from gateway.outgoing.webhooks.service import DeliveryView
from gateway.system.rendering import plain

api = APIRouter(tags=["webhooks"])

SHOWN_ONCE: type[BaseModel] = with_fields(
    model_of(WebhookView), "WebhookMade", secret=str | None, fix=str | None
)
Filters = Annotated[tuple[Text, ...], Field(max_length=50)]
Url = Annotated[Text, Field(min_length=1)]


class WebhookCreate(Request):
    """A new webhook; without a tenant it is the caller's, the platform's for the operator."""

    url: Url
    events: Filters = ()
    tenant: Name | None = None
    environment: Environment | None = None
    workspace: Name | None = None
    description: Text | None = None
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class WebhookUpdate(Patch):
    """What is to change."""

    clears: ClassVar[Mapping[str, Any]] = {
        **Patch.clears,
        "environment": "",
        "workspace": "",
        "description": "",
    }

    url: Url | None = None
    events: Filters | None = None
    environment: Environment | None = None
    workspace: Name | None = None
    description: Text | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class Rotate(Request):
    """How long, in seconds, the old secret signs too."""

    overlap_seconds: Annotated[float, Field(ge=0, le=30 * 86_400)] = 86_400.0


class Replay(Request):
    """Which time is to be sent again."""

    since: datetime
    until: datetime | None = None


class Replayed(BaseModel):
    """How many events are sent again."""

    events: int


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> WebhookView:
    return services.webhooks.show(actor, path["webhook"])


@operation(api, "POST", "/webhooks", cli="webhook create", shows=SHOWN_ONCE, status=201)
def create_webhook(call: Caller, body: WebhookCreate) -> dict[str, object]:
    """Make a webhook. Its secret is shown in this reply and never again."""
    view, secret = call.services.webhooks.create(call.actor, **body.given())
    return {**plain(view), "secret": secret, "fix": None}


@operation(api, "GET", "/webhooks", cli="webhook list", shows=WebhookView, many=True)
def list_webhooks(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(
            paging(
                "tenant",
                "url",
                "environment",
                "state",
                "client_id",
                sorts=("created_at", "updated_at", "url"),
            )
        ),
    ],
) -> Page[WebhookView]:
    """Webhooks, without their secrets."""
    return call.services.webhooks.page(call.actor, page)


@operation(api, "GET", "/webhooks/{webhook}", cli="webhook show", shows=WebhookView)
def show_webhook(call: Caller, webhook: str) -> WebhookView:
    """One webhook, by id or URL."""
    return call.services.webhooks.show(call.actor, webhook)


@operation(api, "PATCH", "/webhooks/{webhook}", cli="webhook update", shows=WebhookView, current=_current)
def update_webhook(call: Caller, webhook: str, body: WebhookUpdate) -> WebhookView:
    """Change where a webhook leads, or what it is told."""
    return call.services.webhooks.update(call.actor, webhook, **body.changes())


@operation(
    api,
    "POST",
    "/webhooks/{webhook}/rotate-secret",
    cli="webhook rotate-secret",
    shows=SHOWN_ONCE,
    current=_current,
)
def rotate_secret(call: Caller, webhook: str, body: Rotate | None = None) -> dict[str, object]:
    """Make a new secret, shown once; the old one signs beside it for a day unless said."""
    overlap = (body or Rotate()).overlap_seconds
    view, secret = call.services.webhooks.rotate_secret(call.actor, webhook, overlap_seconds=overlap)
    return {**plain(view), "secret": secret, "fix": None}


@operation(api, "POST", "/webhooks/{webhook}/pause", cli="webhook pause", shows=WebhookView, current=_current)
def pause_webhook(call: Caller, webhook: str) -> WebhookView:
    """Let its events wait, for at most 14 days."""
    return call.services.webhooks.pause(call.actor, webhook)


@operation(
    api, "POST", "/webhooks/{webhook}/resume", cli="webhook resume", shows=WebhookView, current=_current
)
def resume_webhook(call: Caller, webhook: str) -> WebhookView:
    """Let a paused or disabled webhook go on."""
    return call.services.webhooks.resume(call.actor, webhook)


@operation(api, "DELETE", "/webhooks/{webhook}", cli="webhook delete", shows=WebhookView, current=_current)
def delete_webhook(call: Caller, webhook: str) -> WebhookView:
    """Take a webhook and its secrets away; events that wait for it are not sent."""
    return call.services.webhooks.delete(call.actor, webhook)


@operation(
    api,
    "GET",
    "/webhooks/{webhook}/deliveries",
    cli="webhook deliveries",
    shows=DeliveryView,
    many=True,
)
def list_deliveries(
    call: Caller,
    webhook: str,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 100,
    cursor: CursorQuery = None,
    state: Annotated[Literal["pending", "delivered", "failed", "skipped"] | None, Query()] = None,
) -> Page[DeliveryView]:
    """What became of the last 14 days' events for a webhook, the newest first."""
    return call.parts.deliveries.deliveries(call.actor, webhook, state=state, limit=limit, cursor=cursor)


@operation(
    api, "POST", "/webhooks/{webhook}/ping", cli="webhook ping", shows=DeliveryView, status=202, once=False
)
def ping_webhook(call: Caller, webhook: str) -> DeliveryView:
    """Send an event that tells nothing, to see whether it arrives: its delivery shows that."""
    return call.parts.deliveries.ping(call.actor, webhook)


@operation(api, "POST", "/webhooks/{webhook}/replay", cli="webhook replay", shows=Replayed, once=False)
def replay_webhook(call: Caller, webhook: str, body: Replay) -> dict[str, int]:
    """Send what happened in a time within the last 14 days again, in order."""
    since, until = seconds(body.since), seconds(body.until)
    assert since is not None
    return {"events": call.parts.deliveries.replay(call.actor, webhook, since=since, until=until)}
