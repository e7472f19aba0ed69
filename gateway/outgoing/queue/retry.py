"""When a deferred recipient is tried again, told of the delay, or given up. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_MINUTE = 60.0
_HOUR = 3600.0

STEPS_SECONDS = (
    5 * _MINUTE,
    10 * _MINUTE,
    15 * _MINUTE,
    30 * _MINUTE,
    1 * _HOUR,
    2 * _HOUR,
    4 * _HOUR,
    8 * _HOUR,
    16 * _HOUR,
)
"""The wait after the first, second … failed attempt; the last one repeats."""

SPREAD = 0.2
"""Each wait is up to this part shorter or longer, so that what failed together does not return together."""

DELAY_NOTICE_SECONDS = 3 * _HOUR
"""Age at which a sender who asked for it is told that a message is delayed (RFC 3461 §4.1)."""

PAUSED_CEILING_SECONDS = 7 * 86_400.0
"""Age at which mail is given up even if its shard or tenant is paused all the time."""

_LAST_CHANCE_SECONDS = 5 * _MINUTE


@dataclass(frozen=True, slots=True)
class NextStep:
    """What follows a transient failure.

    `next_attempt_at` is None when life is over: the outcome is `expired`. `delay_notice`: the sender
    is now to be told of the delay, if that was asked for and has not been done.
    """

    next_attempt_at: float | None
    delay_notice: bool

    @property
    def expired(self) -> bool:
        """Whether there will be no further attempt."""
        return self.next_attempt_at is None


def next_step(
    attempts: int, queued_at: float, give_up_at: float, now: float, random: Callable[[], float]
) -> NextStep:
    """What follows the `attempts`-th failed attempt (from 1) of a recipient.

    `random` gives numbers in [0, 1). The last attempt is made at `give_up_at` rather than being
    lost to a long wait; one that fails at or after it expires. Times are seconds since 1970.
    """
    notice = now - queued_at >= DELAY_NOTICE_SECONDS
    if now >= give_up_at:
        return NextStep(None, notice)
    wait = STEPS_SECONDS[min(max(attempts, 1), len(STEPS_SECONDS)) - 1]
    wait *= 1 - SPREAD + 2 * SPREAD * random()
    at = now + wait
    if at + _LAST_CHANCE_SECONDS >= give_up_at:
        at = max(give_up_at, now + _MINUTE)
    return NextStep(at, notice)


def late_at(queued_at: float, give_up_at: float, *, delay_notified: bool, parked: bool) -> float | None:
    """When a waiting recipient is to be looked at although no attempt is due; None for never.

    For a delay notice; for parked mail, which has no next attempt, also for the end of its life.
    """
    if not delay_notified:
        return queued_at + DELAY_NOTICE_SECONDS
    return end_of_life(queued_at, give_up_at, parked=True) if parked else None


def end_of_life(queued_at: float, give_up_at: float, *, parked: bool) -> float:
    """When a recipient is given up. What is paused is not, before the ceiling."""
    return max(give_up_at, queued_at + PAUSED_CEILING_SECONDS) if parked else give_up_at
