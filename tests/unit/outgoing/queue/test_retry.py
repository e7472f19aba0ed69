"""The retry schedule: 5, 10, 15, 30 min, 1, 2, 4, 8, 16 h, then every 16 h, ± 20 %."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.queue import retry
from gateway.outgoing.queue.retry import next_step

FAR = 10**9
MINUTE, HOUR = 60, 3600


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [
        (1, 5 * MINUTE),
        (2, 10 * MINUTE),
        (3, 15 * MINUTE),
        (4, 30 * MINUTE),
        (5, 1 * HOUR),
        (6, 2 * HOUR),
        (7, 4 * HOUR),
        (8, 8 * HOUR),
        (9, 16 * HOUR),
        (10, 16 * HOUR),
        (50, 16 * HOUR),
    ],
)
def test_the_waits(attempts: int, wait: int) -> None:
    assert next_step(attempts, 0, FAR, 1000, lambda: 0.5).next_attempt_at == pytest.approx(1000 + wait)
    assert next_step(attempts, 0, FAR, 1000, lambda: 0.0).next_attempt_at == pytest.approx(1000 + 0.8 * wait)
    assert next_step(attempts, 0, FAR, 1000, lambda: 0.9999).next_attempt_at < 1000 + 1.2 * wait + 1


def test_the_last_attempt_is_at_the_end_of_life() -> None:
    step = next_step(9, 0, 10 * HOUR, 8 * HOUR, lambda: 0.5)
    assert step.next_attempt_at == 10 * HOUR
    assert next_step(10, 0, 10 * HOUR, 10 * HOUR, lambda: 0.5).expired


def test_a_delay_is_told_of_from_three_hours_on() -> None:
    assert not next_step(6, 0, FAR, 3 * HOUR - 1, lambda: 0.5).delay_notice
    assert next_step(6, 0, FAR, 3 * HOUR, lambda: 0.5).delay_notice


@given(
    attempts=st.integers(0, 100),
    age=st.floats(0, 10**6),
    life=st.floats(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_next_attempt_is_later_and_never_long_past_the_end(
    attempts: int, age: float, life: float, chance: float
) -> None:
    step = next_step(attempts, 0, life, age, lambda: chance)
    assert step.expired == (age >= life)
    if step.next_attempt_at is not None:
        assert age + 59 <= step.next_attempt_at <= max(life, age + MINUTE)


def test_what_is_parked_is_given_up_after_seven_days_not_before() -> None:
    week = 7 * 24 * HOUR
    assert retry.end_of_life(0, 8 * HOUR, parked=True) == week
    assert retry.end_of_life(0, 2 * week, parked=True) == 2 * week
    assert retry.end_of_life(0, 8 * HOUR, parked=False) == 8 * HOUR
    assert retry.late_at(0, 8 * HOUR, delay_notified=False, parked=True) == 3 * HOUR
    assert retry.late_at(0, 8 * HOUR, delay_notified=True, parked=True) == week
    assert retry.late_at(0, 8 * HOUR, delay_notified=True, parked=False) is None
