"""Deciding charges: exact, in order, minutes shape, the rest refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.quota import Charge, Counters, QuotaRefused, QuotaView, keys_of, window_start
from gateway.outgoing.quota.windows import next_window, spelled

NOON = 1_795_435_200.0  # 2026-11-23T12:00:00Z


def charge(limit: int, window: str = "day", **changes: Any) -> Charge:
    values = {
        "scope": "account",
        "scope_id": "a",
        "metric": "messages",
        "amount": 1,
        "document": "policy free",
    }
    return Charge(window=window, limit=limit, **(values | changes))


def take(counters: Counters, *charges: Charge, first_time: int = 0, at: float = NOON) -> float | None:
    return counters.take(charges, first_time, at)


def test_the_windows_are_utc_calendar_ones() -> None:
    at = NOON + 3723.5
    assert spelled(window_start("minute", at)) == "2026-11-23T13:02:00Z"
    assert spelled(window_start("hour", at)) == "2026-11-23T13:00:00Z"
    assert spelled(window_start("day", at)) == "2026-11-23T00:00:00Z"
    assert spelled(window_start("month", at)) == "2026-11-01T00:00:00Z"
    assert spelled(next_window("month", at)) == "2026-12-01T00:00:00Z"
    december = next_window("month", at)
    assert spelled(next_window("month", december)) == "2027-01-01T00:00:00Z"


def test_a_full_day_is_refused_with_the_words_of_the_design() -> None:
    counters = Counters({}, NOON)
    for _ in range(200):
        take(counters, charge(200))
    with pytest.raises(QuotaRefused) as caught:
        take(counters, charge(200))
    expected = "452 4.7.1 daily limit of 200 messages reached for this account; opens at 2026-11-24T00:00:00Z"
    assert str(caught.value.reply) == expected
    assert "policy free" in caught.value.rule


def test_a_refused_message_takes_nothing() -> None:
    counters = Counters({}, NOON)
    hour, day = charge(5, "hour"), charge(1, "day")
    take(counters, hour, day)
    before = dict(counters.changed)
    with pytest.raises(QuotaRefused):
        take(counters, hour, day)
    assert counters.changed == before


def test_the_limit_that_opens_last_is_named() -> None:
    counters = Counters({}, NOON)
    both = charge(1, "hour"), charge(1, "month")
    take(counters, *both)
    with pytest.raises(QuotaRefused) as caught:
        take(counters, *both)
    assert "monthly limit" in caught.value.reply.text


def test_a_message_over_the_limit_by_itself_is_refused_for_good() -> None:
    with pytest.raises(QuotaRefused) as caught:
        take(Counters({}, NOON), charge(50, metric="recipients", amount=60))
    assert caught.value.reply.code == 550
    assert caught.value.opens_at is None


def test_minutes_move_the_release_and_then_refuse() -> None:
    counters = Counters({}, NOON + 10)
    minute = charge(2, "minute")
    released = [take(counters, minute, at=NOON + 10) for _ in range(4)]
    assert released == [None, None, NOON + 60, NOON + 60]
    with pytest.raises(QuotaRefused) as caught:
        take(counters, minute, at=NOON + 10)
    assert re.search("per-minute limit of 2 messages", caught.value.reply.text)
    opens_at = caught.value.opens_at
    assert opens_at == NOON + 30
    assert take(counters, minute, at=opens_at) == NOON + 120


def test_first_time_recipients_count_as_many_as_are_new() -> None:
    counters = Counters({}, NOON)
    first = charge(3, metric="first_time_recipients", amount=10)
    take(counters, first, first_time=2)
    take(counters, first, first_time=0)
    with pytest.raises(QuotaRefused, match="first-time recipients"):
        take(counters, first, first_time=2)


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 600)), max_size=80), st.integers(1, 5))
def test_no_minute_ever_holds_more_than_its_limit(arrivals: list[tuple[int, float]], limit: int) -> None:
    """However messages arrive, what is released in any one minute stays within the limit, within 90 s."""
    stored: dict[Any, int] = {}
    released: dict[int, int] = {}
    for amount, delay in sorted(arrivals, key=lambda arrival: arrival[1]):
        now = NOON + delay
        counters = Counters(stored, now)
        one = charge(limit, "minute", amount=amount)
        try:
            at = counters.take([one], 0, now) or now
        except QuotaRefused:
            continue
        assert now <= at <= now + 90
        assert keys_of([one], now, now) >= set(counters.changed)
        stored.update(counters.changed)
        minute = int(at) // 60
        released[minute] = released.get(minute, 0) + amount
        assert released[minute] <= limit


def test_the_view_refuses_only_what_is_certain() -> None:
    view = QuotaView()
    one = charge(3, "hour")
    assert view.refusal([one], NOON) is None
    (key,) = keys_of([one], NOON, NOON)
    view.note({key: 2}, NOON)
    assert view.refusal([one], NOON) is None
    view.note({key: 3}, NOON)
    refusal = view.refusal([one], NOON)
    assert refusal is not None
    assert view.refusal([one], NOON + 3600) is None


@given(st.integers(1, 300), st.lists(st.integers(0, 60), max_size=60))
def test_each_threshold_is_reached_once_and_at_its_value(limit: int, amounts: list[int]) -> None:
    counters, found = Counters({}, NOON), []
    for amount in amounts:
        try:
            take(counters, charge(limit, metric="recipients", amount=amount))
        except QuotaRefused:
            continue
        found += counters.reached
        counters.reached.clear()
    value = counters.value(("account", "a", "recipients", "day", window_start("day", NOON)))
    assert [one.percent for one in found] == [
        p for p in (50, 75, 90, 100) if value and value * 100 >= p * limit
    ]
    assert all(one.value * 100 >= one.percent * limit for one in found)


def test_the_minute_has_no_thresholds() -> None:
    counters = Counters({}, NOON)
    for _ in range(8):
        take(counters, charge(4, "minute"))
    assert counters.reached == []


def test_a_raised_limit_has_thresholds_of_its_own() -> None:
    counters = Counters({}, NOON)
    for limit in (2, 2, 4, 4):
        take(counters, charge(limit))
    reached = [(one.percent, one.charge.limit) for one in counters.reached]
    assert reached == [(50, 2), (75, 2), (90, 2), (100, 2), (75, 4), (90, 4), (100, 4)]
