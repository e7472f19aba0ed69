"""`/v1/events`: what happened, by long poll or as a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from gateway.control.events.feed import FeedPage
from gateway.control.events.types import EventType, as_cloudevent
from gateway.control.webhooks.filters import parse_filters, wants
from gateway.faces.api.caller import Call, Caller
from gateway.faces.api.cursors import LONGEST_CURSOR
from gateway.faces.api.listing import CursorQuery
from gateway.faces.api.models import seconds
from gateway.faces.api.operation import operation
from gateway.faces.api.rates import counted_as
from gateway.faces.api.streams import EventStream
from gateway.system.database import DatabaseAway

api = APIRouter(tags=["events"])

_MOST_SECONDS = 30
_HEARTBEAT_SECONDS = 2.0
_STREAMED = 200
# A reader of pages may go on with the stream, and the other way round.
_LISTING = "events"


class CloudEvent(BaseModel):
    """An event (CloudEvents 1.0); whose it is stands in the four last, as far as it is anybody's."""

    model_config = ConfigDict(extra="allow")

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    data: dict[str, Any]
    tenantid: str = ""
    workspaceid: str = ""
    accountid: str = ""
    environment: str = ""


class EventPage(BaseModel):
    """Events, and the cursor to go on with: there is one always, for more will happen.

    `more`: there is more at once. `lost`: the cursor was older than what is kept; events may be missing.
    """

    items: list[CloudEvent]
    next_cursor: str
    more: bool
    lost: bool


Start = Literal["oldest", "now"]
Types = Annotated[
    list[Annotated[str, Query(max_length=100)]],
    Query(max_length=50, description="Only these: message.delivered, domain.*; may be repeated."),
]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, what, and from where."""

    call: Call
    types: frozenset[str]
    since: float | None
    start: Start

    @property
    def waits_as(self) -> str:
        """Whose reader it is, where the readers of each are limited."""
        return counted_as(self.call.actor.tenant_id, self.call.actor.id)

    async def read(self, cursor: str | None, limit: int) -> FeedPage:
        """The next events. Raises Invalid, DatabaseAway."""
        return await run_in_threadpool(self._read, cursor, limit)

    def _read(self, cursor: str | None, limit: int) -> FeedPage:
        feed, seal = self.call.parts.feed, self.call.parts.cursors
        begin = seal.open(cursor, _LISTING) if cursor is not None else None
        if cursor is None and self.since is None and self.start == "now":
            begin = feed.head()
        page = feed.read(self.call.actor, begin, types=self.types, limit=limit, since=self.since)
        return replace(page, cursor=seal.seal(page.cursor, _LISTING))

    async def is_welcome(self) -> bool:
        """Whether the caller's key still lives. Raises DatabaseAway."""
        return await run_in_threadpool(self.call.parts.is_welcome, self.call.actor)

    def shown(self, page: FeedPage) -> list[dict[str, Any]]:
        """The events as CloudEvents."""
        return [as_cloudevent(event, self.call.parts.source_uri) for event in page.events]


def _reading(begin: Start) -> Callable[..., Reader]:
    """A dependency that reads a Reader; without a cursor it begins at `begin` unless `start` says so."""

    def read(
        call: Caller,
        types: Types = [],  # noqa: B006 - never changed
        since: Annotated[datetime | None, Query(description="Without a cursor: from then on.")] = None,
        start: Annotated[Start, Query(description="Where to begin without a cursor or time.")] = begin,
    ) -> Reader:
        filters = parse_filters(types) if types else []
        known = frozenset(one.value for one in EventType if wants(filters, one.value))
        return Reader(call, known, seconds(since), start)

    return read


@operation(api, "GET", "/events", cli="events list", shows=EventPage)
async def list_events(
    request: Request,
    reader: Annotated[Reader, Depends(_reading("oldest"))],
    cursor: CursorQuery = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    wait: Annotated[float, Query(ge=0, le=_MOST_SECONDS, description="Seconds to wait for news.")] = 0,
) -> dict[str, Any]:
    """The next events; with `wait` the reply comes when there are some, or when the time is over."""
    streams = reader.call.parts.streams
    if not wait:
        return _page(reader, await reader.read(cursor, limit))
    with streams.joined(reader.waits_as):
        return _page(reader, await _awaited(request, reader, cursor, limit, wait))


@operation(api, "GET", "/events/stream", cli="events tail", media="text/event-stream")
async def stream_events(
    reader: Annotated[Reader, Depends(_reading("now"))],
    cursor: CursorQuery = None,
    last_event_id: Annotated[str | None, Header(max_length=LONGEST_CURSOR)] = None,
) -> EventStream:
    """Events as they happen, as server-sent events; `Last-Event-ID` goes on where a reader was."""
    place = reader.call.parts.streams.joined(reader.waits_as)
    place.__enter__()
    try:
        # What is wrong with the question is told before the stream begins.
        first = await reader.read(last_event_id or cursor, _STREAMED)
    except BaseException:
        place.__exit__(None, None, None)
        raise
    return EventStream(_told(reader, first), place)


async def _awaited(request: Request, reader: Reader, cursor: str | None, limit: int, wait: float) -> FeedPage:
    """The next events that come within `wait` seconds, or none."""
    streams, loop = reader.call.parts.streams, asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        places = await streams.places()
        page = await reader.read(cursor, limit)
        cursor, left = page.cursor, end - loop.time()
        if page.events or page.lost or left <= 0 or streams.is_closed:
            return page
        # Where there is more, others' events were looked through: this reader's may come right after them.
        if not page.more:
            await streams.news(places, min(left, _HEARTBEAT_SECONDS))
        if await request.is_disconnected() or not await reader.is_welcome():
            return page


async def _told(reader: Reader, page: FeedPage) -> AsyncIterator[str]:
    """The stream: it ends when the caller's key does, or the process."""
    streams = reader.call.parts.streams
    while True:
        yield _lines(reader, page)
        try:
            if streams.is_closed or not await reader.is_welcome():
                return
            page = await _next(reader, page.cursor)
        except DatabaseAway:
            # The reader comes again from where it was; there is no other way to tell it by now.
            yield ": the database is away\n\n"
            return


async def _next(reader: Reader, cursor: str) -> FeedPage:
    """What is there after a cursor; if it is nothing, what is there when the time of a heartbeat is over."""
    streams = reader.call.parts.streams
    places = await streams.places()
    page = await reader.read(cursor, _STREAMED)
    if page.events or page.more:
        return page
    await streams.news(places, _HEARTBEAT_SECONDS)
    return await reader.read(page.cursor, _STREAMED)


def _page(reader: Reader, page: FeedPage) -> dict[str, Any]:
    return {
        "items": reader.shown(page),
        "next_cursor": page.cursor,
        "more": page.more,
        "lost": page.lost,
    }


def _lines(reader: Reader, page: FeedPage) -> str:
    """A page as server-sent events. The last one has the cursor: who missed part of a page gets it again."""
    told = [
        f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n"
        for event in reader.shown(page)
    ]
    lost = ": events older than the history are lost\n\n" if page.lost else ""
    if not told:
        return f"{lost}id: {page.cursor}\n\n"
    return lost + "\n".join([*told[:-1], f"id: {page.cursor}\n{told[-1]}\n"])
