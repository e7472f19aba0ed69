"""`/v1/queue`: mail that has been accepted, recipient by recipient."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from gateway.control.paging import Page, PageQuery
from gateway.faces.api.caller import Call, Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.mailnames import ENTRY, QUEUED, entries, queued, with_ids
from gateway.faces.api.models import Name, Request, Text
from gateway.faces.api.operation import operation

api = APIRouter(tags=["queue"])


class QueueChange(Request):
    """Which recipient, all of the message's without; and why, for the audit."""

    recipient: Name | None = None
    reason: Text = ""


@operation(api, "GET", "/queue", cli="queue list", shows=ENTRY, many=True)
def list_queue(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(paging("state", "tenant", "account", "shard", "recipient", sorts=())),
    ],
) -> Page[dict[str, Any]]:
    """Recipients in the queue, the oldest first. `state`: `live` (the default), `all`, or one state."""
    found = call.parts.queue.pages.queue(call.actor, with_ids(call, page))
    return Page(tuple(entries(call, found.items)), found.cursor)


@operation(api, "GET", "/queue/{message}", cli="queue show", shows=QUEUED)
def show_queued(call: Caller, message: str) -> dict[str, Any]:
    """One message with each of its recipients."""
    return queued(call, message)


@operation(
    api,
    "POST",
    "/queue/{message}/retry",
    cli="queue retry",
    shows=ENTRY,
    many=True,
    support=True,
    once=False,
)
def retry_queued(call: Caller, message: str, body: QueueChange | None = None) -> list[dict[str, Any]]:
    """Try waiting recipients again now."""
    return _changed(call, "retry", message, body)


@operation(
    api, "POST", "/queue/{message}/hold", cli="queue hold", shows=ENTRY, many=True, support=True, once=False
)
def hold_queued(call: Caller, message: str, body: QueueChange | None = None) -> list[dict[str, Any]]:
    """Keep recipients back until they are released."""
    return _changed(call, "hold", message, body)


@operation(
    api,
    "POST",
    "/queue/{message}/release",
    cli="queue release",
    shows=ENTRY,
    many=True,
    support=True,
    once=False,
)
def release_queued(call: Caller, message: str, body: QueueChange | None = None) -> list[dict[str, Any]]:
    """Let held recipients go."""
    return _changed(call, "release", message, body)


@operation(api, "POST", "/queue/{message}/drop", cli="queue drop", shows=ENTRY, many=True, once=False)
def drop_queued(call: Caller, message: str, body: QueueChange | None = None) -> list[dict[str, Any]]:
    """Give recipients up without a report."""
    return _changed(call, "drop", message, body)


def _changed(call: Call, verb: str, message_id: str, body: QueueChange | None) -> list[dict[str, Any]]:
    asked = body or QueueChange()
    change = getattr(call.parts.queue, verb)
    rows = change(call.actor, message_id, recipient=asked.recipient, reason=asked.reason)
    return entries(call, rows)
