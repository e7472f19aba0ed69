"""`/v1/messages`: every message that was accepted, as long as its record is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from gateway.control.errors import Invalid
from gateway.control.paging import Page, PageQuery
from gateway.faces.api.caller import Call, Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.mailnames import MESSAGE, detailed, with_ids
from gateway.faces.api.models import Name, Text, seconds
from gateway.faces.api.operation import operation
from gateway.faces.api.outgoing import RAW_TYPE, SEND_BOUNDS, MessageSend, SendBody, raw_message
from gateway.outgoing.composing import SendOptions, SentMessage
from gateway.outgoing.queue.views import MessageSummary
from gateway.system.rendering import plain

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


class RawOptions:
    """How a raw message is sent; a JSON one says so in itself. Without `recipient` its header tells."""

    def __init__(
        self,
        recipient: Annotated[list[Text], Query(max_length=10_000)] = [],  # noqa: B006 - FastAPI copies it
        stream: Annotated[Name | None, Query()] = None,
        tag: Annotated[list[Name], Query(max_length=100)] = [],  # noqa: B006 - FastAPI copies it
        send_at: Annotated[datetime | None, Query()] = None,
    ) -> None:
        self.recipients = recipient
        self._options = SendOptions(stream, tuple(tag), send_at=seconds(send_at))
        self.given = bool(recipient) or self._options != SendOptions()

    def options(self, key: str | None) -> SendOptions:
        """How it is sent, under the caller's idempotency key."""
        return replace(self._options, idempotency_key=key)


@operation(
    api,
    "POST",
    "/accounts/{grant_id}/messages",
    cli="message send",
    right="send",
    shows=SentMessage,
    status=202,
    takes=RAW_TYPE,
    bounds=SEND_BOUNDS,
)
def send_message(
    call: Caller, grant_id: str, body: SendBody, raw: Annotated[RawOptions, Depends()]
) -> JSONResponse:
    """Send a message as an account: JSON, or `message/rfc822` as it is to go. It is durable then."""
    key = _key(call)
    if isinstance(body, MessageSend):
        _refuse_raw_options(raw)
        sent = call.parts.send(call.actor, grant_id, body.message(), body.options(key))
    else:
        message = raw_message(body, raw.recipients)
        sent = call.parts.send(call.actor, grant_id, message, raw.options(key))
    headers = {"Idempotency-Replayed": "true"} if sent.repeated else None
    return JSONResponse(plain(sent), 202, headers=headers)


def _key(call: Call) -> str | None:
    conditions = call.actor.conditions
    return conditions.once.key if conditions is not None and conditions.once is not None else None


def _refuse_raw_options(raw: RawOptions) -> None:
    if raw.given:
        raise Invalid(
            "bad-parameter",
            "These parameters are for a raw message.",
            "Say it in the JSON: to, stream, tags, send_at.",
        )
