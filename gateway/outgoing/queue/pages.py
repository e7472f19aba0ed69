"""Messages, queued recipients and refused submissions of all locations, for callers and a page at a time.

A cursor holds the place of the last row that was shown, so that what comes meanwhile moves nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.control.errors import Invalid, Unavailable
from gateway.control.lookup import shown
from gateway.control.paging import LONGEST_PAGE, Page, PageQuery
from gateway.outgoing.queue import reading
from gateway.outgoing.queue.commands import not_found
from gateway.outgoing.queue.reading import QueueFilter
from gateway.outgoing.queue.search import MessageFilter, find_messages
from gateway.outgoing.queue.states import State
from gateway.outgoing.queue.views import MessageDetail, MessageSummary, QueueRow, RefusedRecord
from gateway.system.database import Database, DatabaseAway
from gateway.system.ids import MESSAGE_ID_LENGTH
from gateway.system.moments import LAST_MOMENT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.records import Actor

T = TypeVar("T")

STATES = ("live", *(state.value for state in State))
MESSAGE_FILTERS = ("tenant_id", "account_id", "workspace_id", "state", "stream", "since", "until")
WORD_FILTERS = ("recipient", "message_id")
QUEUE_FILTERS = ("state", "tenant_id", "account_id", "shard_id", "recipient")
REFUSED_FILTERS = ("tenant_id", "account_id")

_LONGEST_WORD = 1_000


class MessagePages:
    """Reads for callers: what an actor may not see is not there. Any method may raise Unavailable."""

    def __init__(self, locations: Mapping[str, Database]) -> None:
        self._locations = dict(locations)

    def messages(self, actor: Actor, query: PageQuery) -> Page[MessageSummary]:
        """Messages, the newest first. Filters: MESSAGE_FILTERS and WORD_FILTERS. Raises Invalid."""
        wanted = _message_filter(_checked(query, (*MESSAGE_FILTERS, *WORD_FILTERS)))
        before = _read_cursor("messages", query.cursor, str) if query.cursor is not None else None
        if before is not None and not _is_id(before):
            raise _bad_cursor()
        limit = query.limit + 1
        rows = self._gather(lambda c, name: find_messages(c, actor, wanted, before, limit, name))
        rows.sort(key=lambda row: row.id, reverse=True)
        return _page("messages", rows, query.limit, lambda some: some[-1].id)

    def message(self, actor: Actor, message_id: str) -> MessageDetail:
        """One message with its recipients and its history. Raises NotFound."""
        found = self._gather(lambda c, name: reading.message_details(c, actor, message_id.lower(), name))
        if not found:
            raise not_found(message_id)
        return found[0]

    def queue(self, actor: Actor, query: PageQuery) -> Page[QueueRow]:
        """Recipients, the oldest message first, live ones unless `state` says others.

        Filters: QUEUE_FILTERS. Raises Invalid.
        """
        words = _checked(query, QUEUE_FILTERS)
        wanted = QueueFilter(**{"state": "live", **words}, actor=actor)
        after: list[Any] | None = None
        if query.cursor is not None:
            after = _read_cursor("queue", query.cursor, list)
            if len(after) != 2 or not _is_id(after[0]) or not _is_number(after[1]):
                raise _bad_cursor()
        place = (after[0], after[1]) if after is not None else None
        limit = query.limit + 1
        rows = self._gather(lambda c, name: reading.queue_rows(c, wanted, limit, name, after=place))
        rows.sort(key=lambda row: (row.id, row.n))
        return _page("queue", rows, query.limit, lambda some: [some[-1].id, some[-1].n])

    def refused(self, actor: Actor, query: PageQuery) -> Page[RefusedRecord]:
        """Refused submissions, the newest first. Filters: REFUSED_FILTERS. Raises Invalid."""
        words = _checked(query, REFUSED_FILTERS)
        places: dict[str, Any] = {}
        if query.cursor is not None:
            places = _read_cursor("refused", query.cursor, dict)
            if not all(map(_is_number, places.values())):
                raise _bad_cursor()
        limit = query.limit + 1
        rows = self._gather(
            lambda c, name: reading.refused_rows(c, actor, words, places.get(name), limit, name)
        )
        rows.sort(key=lambda row: (-row.created_at, row.location, -number_of(row)))

        def reached(some: Sequence[RefusedRecord]) -> dict[str, int]:
            return places | {row.location: number_of(row) for row in some}

        return _page("refused", rows, query.limit, reached)

    def counts(self, actor: Actor) -> dict[str, int]:
        """How many recipients are in each live state."""
        sums: dict[str, int] = {}
        for state, count in self._gather(lambda c, _: list(reading.live_counts(c, actor).items())):
            sums[state] = sums.get(state, 0) + count
        return sums

    def oldest(self) -> float | None:
        """Since when the oldest mail of all tenants waits to be sent; None if nothing does."""
        return min(
            (at for at in self._gather(lambda c, _: [reading.oldest_waiting(c)]) if at is not None),
            default=None,
        )

    def _gather(self, read: Callable[[Connection, str], Sequence[T]]) -> list[T]:
        found: list[T] = []
        for name, database in self._locations.items():
            try:
                with database.read() as connection:
                    found.extend(read(connection, name))
            except DatabaseAway as error:
                raise Unavailable(
                    "location-away",
                    f"The queue of location {name} cannot be reached: {error}.",
                    "Start the database, or see `gatepost check` for what is wrong.",
                ) from error
        return found


def number_of(row: RefusedRecord) -> int:
    """A refused submission's number in its location."""
    return int(row.id.rpartition("-")[2])


def _checked(query: PageQuery, known: Sequence[str]) -> dict[str, str]:
    if not 1 <= query.limit <= LONGEST_PAGE:
        raise Invalid("bad-limit", f"{query.limit} is no page size.", f"Give a limit of 1 to {LONGEST_PAGE}.")
    if query.sort is not None:
        raise Invalid("bad-sort", "This list has one order only.", "Leave out the sort.")
    for name, word in query.filters.items():
        if name not in known:
            raise Invalid(
                "bad-filter", f"{shown(name)} is no field to filter by.", f"Filter by {', '.join(known)}."
            )
        if len(word) > _LONGEST_WORD or not word.isprintable():
            raise Invalid("bad-filter", f"{shown(word)} is no value for {name}.", "Give one line of text.")
        if name == "state" and word not in (*STATES, "all"):
            raise Invalid("bad-state", f"{shown(word)} is no state.", f"Choose {', '.join(STATES)}.")
    return dict(query.filters)


def _message_filter(words: Mapping[str, str]) -> MessageFilter:
    times = {name: _time(name, words[name]) for name in ("since", "until") if name in words}
    said = {name: word for name, word in words.items() if (name, word) != ("state", "all")}
    return MessageFilter(**{**said, **times})  # type: ignore[arg-type]


def _time(name: str, word: str) -> float:
    """A time in RFC 3339, or seconds since 1970; a date is its first moment in UTC."""
    try:
        if word.replace(".", "", 1).isdigit():
            at = float(word)
        else:
            moment = datetime.fromisoformat(word)
            at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        if not 0 <= at <= LAST_MOMENT:
            raise ValueError("out of range")
    except (ValueError, OverflowError):
        raise Invalid(
            "bad-time", f"{shown(word)} is no time for {name}.", "Write it as 2027-01-15T08:00:00Z."
        ) from None
    return at


def _page(kind: str, rows: Sequence[T], limit: int, place: Callable[[Sequence[T]], object]) -> Page[T]:
    some = tuple(rows[:limit])
    if len(rows) <= limit:
        return Page(some)
    text = json.dumps([kind, place(some)], separators=(",", ":"), sort_keys=True)
    return Page(some, base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))


def _read_cursor(kind: str, cursor: str, shape: type[T]) -> T:
    try:
        octets = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        known, place = json.loads(octets)
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise _bad_cursor() from None
    if known != kind or type(place) is not shape:
        raise _bad_cursor()
    return place


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isalnum() and len(value) <= MESSAGE_ID_LENGTH


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _bad_cursor() -> Invalid:
    return Invalid(
        "bad-cursor",
        "The cursor is not one of this list.",
        "Start without a cursor and follow the one each page gives.",
    )
