"""Deadlines count the client's time only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.smtp.deadlines import Deadlines, Due
from gateway.edges.smtp.limits import SessionLimits

LIMITS = SessionLimits()


def waiting(now: float = 0.0) -> Deadlines:
    deadlines = Deadlines(LIMITS, now)
    deadlines.wait(now, partial=False)
    return deadlines


def test_login_counts_from_the_connection() -> None:
    deadlines = waiting()
    assert deadlines.due(30.0, 0) is None
    assert deadlines.due(30.1, 0) is Due.LOGIN


def test_login_does_not_count_our_own_work() -> None:
    deadlines = waiting()
    deadlines.wake(10.0)
    assert deadlines.due(1000.0, 0) is None
    deadlines.wait(110.0, partial=False)
    assert deadlines.due(130.0, 0) is None
    assert deadlines.due(130.1, 0) is Due.LOGIN


def test_idle_begins_anew_with_every_command() -> None:
    deadlines = waiting()
    deadlines.login()
    assert deadlines.due(300.1, 0) is Due.IDLE
    deadlines.wake(200.0)
    deadlines.wait(201.0, partial=False)
    assert deadlines.due(501.0, 0) is None
    assert deadlines.due(501.1, 0) is Due.IDLE


def test_a_partial_line_counts_from_its_first_octet() -> None:
    deadlines = waiting()
    deadlines.login()
    for second in range(1, 30):
        deadlines.wake(second)
        deadlines.wait(second, partial=True)
    assert deadlines.due(31.0, 0) is None
    assert deadlines.due(31.1, 0) is Due.COMMAND


def test_a_partial_line_does_not_outlive_the_line() -> None:
    deadlines = waiting()
    deadlines.login()
    deadlines.wait(0.0, partial=True)
    deadlines.wake(29.0)
    deadlines.line_ended()
    deadlines.wait(29.0, partial=True)
    assert deadlines.due(59.0, 0) is None


def test_content_has_its_own_rate_and_no_partial_lines() -> None:
    deadlines = waiting()
    deadlines.login()
    deadlines.wake(0.0)
    deadlines.begin_content(0.0, 1000)
    deadlines.wait(0.0, partial=True)
    assert deadlines.due(29.0, 1000) is None
    assert deadlines.due(30.0, 15_999) is Due.SLOW_CONTENT
    assert deadlines.due(30.0, 16_000) is None
    deadlines.end_content()
    deadlines.wake(59.0)
    deadlines.wait(59.0, partial=False)
    assert deadlines.due(100.0, 16_000) is None


def test_replies_that_nobody_reads() -> None:
    deadlines = waiting()
    deadlines.wake(1.0)
    deadlines.unread(1.0)
    assert deadlines.due(61.0, 0) is None
    assert deadlines.due(61.1, 0) is Due.UNREAD
    deadlines.read()
    assert deadlines.due(100.0, 0) is None


def test_closing_has_ten_seconds_whatever_else_is_due() -> None:
    deadlines = waiting()
    deadlines.close(5.0)
    deadlines.close(9.0)
    assert deadlines.due(15.0, 0) is None
    assert deadlines.due(15.1, 0) is Due.CLOSING


@given(st.lists(st.tuples(st.floats(0, 29), st.integers(0, 100_000)), min_size=1, max_size=30))
def test_while_we_work_nothing_is_due(steps: list[tuple[float, int]]) -> None:
    deadlines = waiting()
    deadlines.login()
    deadlines.wake(0.0)
    now = 0.0
    for seconds, octets in steps:
        now += seconds * 100
        assert deadlines.due(now, octets) is None
