"""How many requests a caller may send: a bucket for each, refilled steadily."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from gateway.system.clock import Clock

FAILURES_PER_SECOND = 1.0
FAILURES_AT_ONCE = 60
"""What an address may send without a valid key."""

_MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a caller stands after a request; `reset_seconds` until the bucket is full again."""

    granted: bool
    limit: int
    remaining: int
    reset_seconds: float

    def headers(self) -> dict[str, str]:
        """As response headers."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(int(self.reset_seconds + 0.999)),
        }


def counted_as(tenant_id: str | None, key_id: str) -> str:
    """Whose requests and streams those of a key are: a tenant makes keys freely, so all of them are one."""
    return key_id if tenant_id is None else f"tenant/{tenant_id}"


class Rates:
    """Buckets of `burst` requests, refilled at `per_second`. Safe between threads."""

    def __init__(self, clock: Clock, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._lock = Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> Allowance:
        """Take one request from a caller's bucket."""
        now = self._clock.monotonic()
        with self._lock:
            level, at = self._buckets.pop(caller, (float(self._burst), now))
            level = min(float(self._burst), level + (now - at) * self._per_second)
            granted = level >= 1.0
            level -= 1.0 if granted else 0.0
            # Put in last: the first are those who have been quiet longest.
            self._buckets[caller] = (level, now)
            if len(self._buckets) > _MOST_CALLERS:
                self._buckets.pop(next(iter(self._buckets)))
        missing = (self._burst - level) if granted else 1.0 - level
        return Allowance(granted, self._burst, int(level), missing / self._per_second)
