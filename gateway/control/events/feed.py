"""One stream from the events of all databases, with a cursor to go on from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.control.errors import Invalid
from gateway.control.events.cursor import Cursor, decode_cursor, encode_cursor
from gateway.control.events.source import EventSource, Position, SourcePage, Wanted, wanted_by
from gateway.control.events.types import HISTORY_SECONDS, Event, EventType
from gateway.control.lookup import shown
from gateway.control.records import Actor
from gateway.system.clock import Clock

MOST_EVENTS = 1000
_MOST_ROUNDS = 20
_TYPES = frozenset(one.value for one in EventType)


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Events, and the cursor to read on from, which moves even if there are none.

    `more`: there may be more at once. `lost`: the cursor given was older than what is kept, so that
    events may have been missed.
    """

    events: tuple[Event, ...]
    cursor: str
    more: bool
    lost: bool = False


class Feed:
    """Reads events for callers, each its own. Order is promised for each message, and within a database."""

    def __init__(self, sources: Sequence[EventSource], clock: Clock) -> None:
        self._sources = tuple(sources)
        self._clock = clock

    def read(
        self,
        actor: Actor,
        cursor: str | None = None,
        *,
        types: Iterable[str] = (),
        limit: int = 100,
        since: float | None = None,
    ) -> FeedPage:
        """The next events after `cursor`; without one from `since` (seconds since 1970) or the oldest kept.

        `types`: only these. At most `limit` (1 to 1000) events; 14 days are kept. Raises Invalid (the
        cursor, a type), DatabaseAway.
        """
        limit = max(1, min(limit, MOST_EVENTS))
        now = self._clock.now()
        horizon = now - HISTORY_SECONDS
        begin = max(horizon, since) if since is not None and cursor is None else horizon
        wanted = wanted_by(actor, _known(types), begin)
        positions, lost = self._begin(cursor, begin, horizon)
        for _ in range(_MOST_ROUNDS):
            events, positions, more = self._round(positions, limit, wanted)
            if events or not more:
                break
        return FeedPage(events, encode_cursor(Cursor(positions, now)), more, lost)

    def head(self) -> str:
        """A cursor after everything that is there now. Raises DatabaseAway."""
        return encode_cursor(Cursor(self.places(), self._clock.now()))

    def places(self) -> dict[str, Position]:
        """Where each source ends now: another answer, and there is something new. Raises DatabaseAway."""
        return {source.name: source.head() for source in self._sources}

    def _begin(self, cursor: str | None, begin: float, horizon: float) -> tuple[Mapping[str, Position], bool]:
        known = decode_cursor(cursor) if cursor is not None else Cursor({}, horizon)
        lost = known.made_at < horizon
        positions = {}
        for source in self._sources:
            position = known.positions.get(source.name)
            if position is None or lost:
                # A location that is new to the reader is read from the oldest on.
                oldest = source.oldest(begin)
                position = oldest if position is None else max(position, oldest)
            positions[source.name] = position
        return positions, lost

    def _round(
        self, positions: Mapping[str, Position], limit: int, wanted: Wanted
    ) -> tuple[tuple[Event, ...], dict[str, Position], bool]:
        pages = {source.name: source.read(positions[source.name], limit, wanted) for source in self._sources}
        events, taken = merge(pages, limit)
        after = {name: _reached(page, taken[name], positions[name]) for name, page in pages.items()}
        more = any(page.more or taken[name] < len(page.events) for name, page in pages.items())
        return events, after, more


def merge(pages: Mapping[str, SourcePage], limit: int) -> tuple[tuple[Event, ...], dict[str, int]]:
    """At most `limit` events of all pages by time, none before one that its own source has earlier.

    Also how many of each page were taken.
    """
    taken = dict.fromkeys(pages, 0)
    events: list[Event] = []
    while len(events) < limit:
        waiting = [name for name, page in pages.items() if taken[name] < len(page.events)]
        if not waiting:
            break
        first = min(waiting, key=lambda name: pages[name].events[taken[name]][1].time)
        events.append(pages[first].events[taken[first]][1])
        taken[first] += 1
    return tuple(events), taken


def _reached(page: SourcePage, taken: int, before: Position) -> Position:
    if taken == len(page.events):
        return page.position
    return page.events[taken - 1][0] if taken else before


def _known(types: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(types)
    if unknown := sorted(wanted - _TYPES):
        raise Invalid(
            "bad-event-type",
            f"{shown(unknown[0])} is no type of event.",
            f"Types: {', '.join(sorted(_TYPES))}.",
        )
    return wanted
