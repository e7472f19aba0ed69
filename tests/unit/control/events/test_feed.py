"""The feed over sources in memory: what is served, in which order, and where a reader goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.errors import Invalid
from gateway.control.events.cursor import Cursor, decode_cursor, encode_cursor
from gateway.control.events.feed import Feed, FeedPage
from gateway.control.events.source import Position, SourcePage, Wanted
from gateway.control.events.types import HISTORY_SECONDS, Event, EventType, as_cloudevent
from gateway.control.records import Actor
from gateway.system.clock import ManualClock

NOW = 1_800_000_000.0
EVERYONE = Actor("cli", "tester")


class Listed:
    """A source from a list; positions are places in it. It looks through `window` events at a time."""

    def __init__(self, name: str, events: list[Event], window: int = 1000) -> None:
        self.name = name
        self.events = events
        self.window = window

    def read(self, after: Position, limit: int, wanted: Wanted) -> SourcePage:
        found: list[tuple[Position, Event]] = []
        place = after[0]
        for event in self.events[place : place + self.window]:
            place += 1
            if wanted.admits(event):
                found.append(((place,), event))
            if len(found) == limit:
                break
        return SourcePage(tuple(found), (place,), place < len(self.events))

    def head(self) -> Position:
        return (len(self.events),)

    def oldest(self, since: float) -> Position:
        return (next((n for n, event in enumerate(self.events) if event.time >= since), len(self.events)),)


def event(n: int, at: float, type_: str = EventType.MESSAGE_ACCEPTED, **more: str) -> Event:
    return Event(f"e-{n}", type_, at, f"message/{n}", **more)


def feed(*sources: Listed, now: float = NOW) -> Feed:
    return Feed(sources, ManualClock(now))


def read_all(one: Feed, page: FeedPage | None = None, limit: int = 2) -> list[str]:
    found = []
    cursor = page.cursor if page else None
    for _ in range(100):
        page = one.read(EVERYONE, cursor, limit=limit)
        found += [event.id for event in page.events]
        cursor = page.cursor
        if not page.more:
            return found
    raise AssertionError("the feed has no end")


def test_sources_are_merged_by_time_and_each_keeps_its_own_order() -> None:
    first = Listed("a", [event(1, NOW - 9), event(2, NOW - 7), event(3, NOW - 8)])
    second = Listed("b", [event(4, NOW - 8.5), event(5, NOW - 1)])
    assert read_all(feed(first, second)) == ["e-1", "e-4", "e-2", "e-3", "e-5"]


@given(
    st.lists(st.lists(st.floats(NOW - 1000, NOW), max_size=12), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_however_it_is_paged_each_event_comes_once(times: list[list[float]], limit: int, window: int) -> None:
    numbers = iter(range(1000))
    sources = [
        Listed(f"s{k}", [event(next(numbers), at) for at in one], window) for k, one in enumerate(times)
    ]
    got = read_all(feed(*sources), limit=limit)
    assert sorted(got) == sorted(event.id for source in sources for event in source.events)
    for source in sources:
        own = [event.id for event in source.events]
        assert [one for one in got if one in own] == own


def test_a_reader_goes_on_where_it_was_and_finds_what_came_meanwhile() -> None:
    source = Listed("a", [event(1, NOW - 2)])
    one = feed(source)
    page = one.read(EVERYONE)
    source.events.append(event(2, NOW - 1))
    again = one.read(EVERYONE, page.cursor)
    assert [event.id for event in again.events] == ["e-2"]
    empty = one.read(EVERYONE, again.cursor)
    assert (empty.events, empty.more, empty.lost) == ((), False, False)


def test_the_head_is_after_everything() -> None:
    one = feed(Listed("a", [event(1, NOW)]))
    assert one.read(EVERYONE, one.head()).events == ()


def test_a_location_that_is_new_is_read_from_its_oldest_event() -> None:
    cursor = feed(Listed("a", [event(1, NOW)])).head()
    both = feed(Listed("a", [event(1, NOW)]), Listed("b", [event(2, NOW)]))
    assert [event.id for event in both.read(EVERYONE, cursor).events] == ["e-2"]


def test_what_is_older_than_fourteen_days_is_not_served() -> None:
    old, young = event(1, NOW - HISTORY_SECONDS - 1), event(2, NOW - HISTORY_SECONDS + 1)
    page = feed(Listed("a", [old, young])).read(EVERYONE)
    assert [one.id for one in page.events] == ["e-2"]
    assert not page.lost


def test_a_cursor_older_than_the_history_goes_on_at_the_oldest_and_says_so() -> None:
    source = Listed("a", [event(1, NOW), event(2, NOW + 100), event(3, NOW + HISTORY_SECONDS)])
    cursor = feed(source).read(EVERYONE, limit=1).cursor
    page = feed(source, now=NOW + HISTORY_SECONDS + 200).read(EVERYONE, cursor)
    assert [one.id for one in page.events] == ["e-3"]
    assert page.lost


def test_since_leaves_out_what_was_before() -> None:
    page = feed(Listed("a", [event(1, NOW - 20), event(2, NOW - 10)])).read(EVERYONE, since=NOW - 15)
    assert [one.id for one in page.events] == ["e-2"]


def test_a_caller_sees_only_its_tenant() -> None:
    source = Listed("a", [event(1, NOW, tenant_id="one"), event(2, NOW, tenant_id="two"), event(3, NOW)])
    page = feed(source).read(Actor("api", "key", tenant_id="two"))
    assert [one.id for one in page.events] == ["e-2"]


def test_types_are_chosen_and_looked_for_over_many_others() -> None:
    events = [event(n, NOW) for n in range(50)] + [event(99, NOW, EventType.MESSAGE_BOUNCED)]
    page = feed(Listed("a", events, window=10)).read(EVERYONE, types=[EventType.MESSAGE_BOUNCED])
    assert [one.id for one in page.events] == ["e-99"]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(Invalid, match="no type of event"):
        feed().read(EVERYONE, types=["gatepost.message.lost"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "AAAA",
        "é",
        "WzEsMCx7ImEiOlstMV19XQ",
        "WzIsMCx7fV0",
        "WzEsMCx7ImEiOjF9XQ",
        "[" * 9000,
        "bnVsbA",
    ],
)
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        feed().read(EVERYONE, text)
    assert caught.value.code == "bad-cursor"


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda octets: octets.hex()))
def test_no_text_breaks_the_cursor_reader(text: str) -> None:
    try:
        decode_cursor(text)
    except Invalid:
        return


@given(
    st.dictionaries(st.text(max_size=10), st.lists(st.integers(0, 2**62), min_size=1, max_size=3), max_size=5)
)
def test_a_cursor_says_what_it_was_made_of(positions: dict[str, list[int]]) -> None:
    given_ = {name: tuple(position) for name, position in positions.items()}
    assert decode_cursor(encode_cursor(Cursor(given_, NOW))) == Cursor(given_, NOW)


def test_a_cloudevent_has_the_attributes_of_the_specification() -> None:
    one = Event(
        "location:default-7", EventType.MESSAGE_BOUNCED, NOW + 0.25, "message/x", tenant_id="t", data={"a": 1}
    )
    assert as_cloudevent(one, "https://mx.example.com") == {
        "specversion": "1.0",
        "id": "location:default-7",
        "source": "https://mx.example.com",
        "type": "gatepost.message.bounced",
        "subject": "message/x",
        "time": "2027-01-15T08:00:00.250Z",
        "datacontenttype": "application/json",
        "tenantid": "t",
        "data": {"a": 1},
    }
