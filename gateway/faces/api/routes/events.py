"""`/v1/events`: what happens, as CloudEvents: by long poll, or as a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from gateway.control.events.feed import FeedPage
from gateway.control.events.types import Event, as_cloudevent
from gateway.faces.api.caller import Call, Caller
from gateway.faces.api.operation import operation

api = APIRouter(tags=["events"])

MOST_WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
MOST_EVENTS = 1_000

Cursor = Annotated[str | None, Query(max_length=2_000, description="`next_cursor` of the page before.")]
Types = Annotated[
    list[Annotated[str, Query(max_length=100)]],
    Query(description="Only these, such as gatepost.message.delivered.", max_length=50),
]
Start = Annotated[
    Literal["oldest", "now"], Query(description="Where to begin without a cursor: 14 days are kept.")
]


class EventPage(BaseModel):
    """CloudEvents 1.0 in JSON. `lost`: the cursor was too old, and events before these are gone."""

    items: list[dict[str, Any]]
    next_cursor: str
    lost: bool


@operation(api, "GET", "/events", cli="events list", shows=EventPage)
async def list_events(
    call: Caller,
    cursor: Cursor = None,
    types: Types = [],  # noqa: B006 - never changed
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
    wait: Annotated[float, Query(ge=0, le=MOST_WAIT_SECONDS, description="Seconds to wait for one.")] = 0,
    start: Start = "oldest",
) -> dict[str, Any]:
    """The next events after a cursor; with `wait` it is answered when one comes."""
    with call.parts.streams.held(call.actor.id):
        here = await _begin(call, cursor, start)
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            page = await _read(call, here, types, limit)
            here = page.cursor
            if page.events or asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
    return {"items": _documents(call, page.events), "next_cursor": page.cursor, "lost": page.lost}


@operation(api, "GET", "/events/stream", cli="events tail", media="text/event-stream")
async def stream_events(
    call: Caller,
    cursor: Cursor = None,
    types: Types = [],  # noqa: B006 - never changed
    start: Start = "now",
    last_event_id: Annotated[str | None, Header(max_length=2_000)] = None,
) -> StreamingResponse:
    """Server-sent events, from now on or after a cursor; the id of each is the cursor after it."""
    here = await _begin(call, cursor or last_event_id, start)
    # Before the first octet: a wrong cursor or type is a refusal, not a broken stream.
    await _read(call, here, types, 1)
    return StreamingResponse(_stream(call, here, types), media_type="text/event-stream")


async def _stream(call: Call, here: str | None, types: Iterable[str]) -> AsyncIterator[str]:
    quiet = 0.0
    with call.parts.streams.held(call.actor.id):
        yield ": welcome\n\n"
        while True:
            page = await _read(call, here, types, 1)
            here = page.cursor
            for document in _documents(call, page.events):
                quiet = 0.0
                yield f"id: {here}\nevent: {document['type']}\ndata: {json.dumps(document)}\n\n"
            if page.events:
                continue
            await asyncio.sleep(LOOK_SECONDS)
            quiet += LOOK_SECONDS
            if quiet >= HEARTBEAT_SECONDS:
                quiet = 0.0
                if not await run_in_threadpool(call.parts.is_welcome, call.actor):
                    return
                yield ": alive\n\n"


async def _begin(call: Call, cursor: str | None, start: str) -> str | None:
    if cursor is None and start == "now":
        return await run_in_threadpool(call.parts.feed.head)
    return cursor


async def _read(call: Call, cursor: str | None, types: Iterable[str], limit: int) -> FeedPage:
    return await run_in_threadpool(call.parts.feed.read, call.actor, cursor, types=types, limit=limit)


def _documents(call: Call, events: Iterable[Event]) -> list[dict[str, Any]]:
    return [as_cloudevent(event, call.parts.source_uri) for event in events]
