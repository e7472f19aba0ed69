"""Moments as they are written out: one that no calendar has never breaks a page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.events.types import spelled_time
from gateway.system.moments import FIRST_MOMENT, LAST_MOMENT
from gateway.system.rendering import iso, plain


@given(st.floats())
def test_any_number_that_is_stored_can_be_written(at: float) -> None:
    assert len(iso(at)) == len("2026-11-23T20:41:07Z")
    assert len(spelled_time(at)) == len("2026-11-26T15:04:05.678Z")


@pytest.mark.parametrize("at", [LAST_MOMENT, LAST_MOMENT + 1, 2.0**40, 10**300, math.inf])
def test_what_is_after_the_calendar_is_its_end(at: float) -> None:
    assert iso(at) == "9999-12-31T23:59:59Z"
    assert plain({"expires_at": at}) == {"expires_at": "9999-12-31T23:59:59Z"}
    assert spelled_time(at) == "9999-12-31T23:59:59.000Z"


@pytest.mark.parametrize("at", [FIRST_MOMENT, FIRST_MOMENT - 1, -math.inf])
def test_what_is_before_the_calendar_is_its_beginning(at: float) -> None:
    assert iso(at) == "0001-01-01T00:00:00Z"


def test_times_within_it_are_as_they_are() -> None:
    assert iso(1_800_000_000.9) == "2027-01-15T08:00:00Z"
    assert spelled_time(1_800_000_000.9) == "2027-01-15T08:00:00.900Z"
