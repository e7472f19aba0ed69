"""When a delivery that failed is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable

_MINUTE = 60.0
_HOUR = 3_600.0

STEPS_SECONDS = (
    1 * _MINUTE,
    2 * _MINUTE,
    4 * _MINUTE,
    7.5 * _MINUTE,
    15 * _MINUTE,
    30 * _MINUTE,
    1 * _HOUR,
    2 * _HOUR,
    4 * _HOUR,
    8 * _HOUR,
    16 * _HOUR,
)
"""The wait after the first, second … failed attempt; after as many waits one more failure is the last."""

SPREAD = 0.1
"""Each wait is up to this part longer, so that what failed together does not return together."""


def next_attempt(attempts: int, now: float, random: Callable[[], float]) -> float | None:
    """When to try again after the `attempts`-th failed attempt (from 1); None: never.

    `random` gives numbers in [0, 1); times are seconds since 1970.
    """
    if attempts > len(STEPS_SECONDS):
        return None
    return now + STEPS_SECONDS[max(attempts, 1) - 1] * (1 + SPREAD * random())
