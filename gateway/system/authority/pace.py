"""How fast one name server is asked."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from gateway.system.clock import Clock

_BURST_SECONDS = 0.5
_REMEMBERED = 10_000


class Pace:
    """A token bucket for each server: half a second's worth at once, then `per_second`."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._gap = 1.0 / per_second
        self._burst = max(self._gap, _BURST_SECONDS)
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each server's bucket would be full again."""

    def wait(self, server: str) -> float:
        """Seconds that a query to this server would have to wait now."""
        now = self._clock.monotonic()
        return max(0.0, self._full_at.get(server, now) + self._gap - self._burst - now)

    async def turn(self, server: str) -> None:
        """Take a token, and wait until it is there; in the order of the calls."""
        seconds, now = self.wait(server), self._clock.monotonic()
        self._full_at[server] = max(now, self._full_at.get(server, now)) + self._gap
        self._full_at.move_to_end(server)
        while len(self._full_at) > _REMEMBERED:
            self._full_at.popitem(last=False)
        if seconds > 0:
            await asyncio.sleep(seconds)
