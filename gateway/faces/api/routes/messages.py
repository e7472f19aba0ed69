"""`/v1/messages`: every message that was accepted, as long as its record is kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from gateway.control.paging import Page, PageQuery
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.mailnames import MESSAGE, detailed, with_ids
from gateway.faces.api.operation import operation
from gateway.outgoing.queue.views import MessageSummary

api = APIRouter(tags=["messages"])

_FILTERS = (
    *("tenant", "workspace", "account", "state", "stream"),
    *("recipient", "message_id", "since", "until"),
)


@operation(api, "GET", "/messages", cli="message list", shows=MessageSummary, many=True)
def list_messages(
    call: Caller, page: Annotated[PageQuery, Depends(paging(*_FILTERS, sorts=()))]
) -> Page[MessageSummary]:
    """Messages, the newest first. `state`: one recipient at least is in it."""
    return call.parts.queue.pages.messages(call.actor, with_ids(call, page))


@operation(api, "GET", "/messages/{message}", cli="message show", shows=MESSAGE)
def show_message(call: Caller, message: str) -> dict[str, Any]:
    """One message with each of its recipients and all that happened to it."""
    return detailed(call, message)
