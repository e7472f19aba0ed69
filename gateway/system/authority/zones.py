"""Zones and their name servers, remembered as long as DNS allows."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from gateway.system.authority.exchange import Server
from gateway.system.clock import Clock

_CAPACITY = 20_000
_MOST_SILENCES = 3


class Away(Exception):
    """A zone or its servers cannot be had for now; the text says why."""


class Busy(Exception):
    """A zone's servers have been asked so much that the next question must wait `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the name servers may be asked again in {seconds:.1f} s")
        self.seconds = seconds


class BudgetSpent(Exception):
    """Another question would be one too many."""


class Budget:
    """How many questions may still be asked for one purpose, and which servers are no use for it.

    A server that was silent so often that it is given up is not asked again for this purpose: each such
    question costs seconds of somebody's patience.
    """

    def __init__(self, left: int) -> None:
        self.left = left
        self.spent = 0
        self._silences: dict[Server, int] = {}

    def take(self) -> None:
        """Use one. Raises BudgetSpent."""
        if self.left <= 0:
            raise BudgetSpent
        self.left -= 1
        self.spent += 1

    def note(self, server: Server, *, answered: bool) -> None:
        """Whether a server has answered a question."""
        self._silences[server] = 0 if answered else self._silences.get(server, 0) + 1

    def gave_up(self, server: Server) -> bool:
        """Whether it has been silent too often, with no answer in between."""
        return self._silences.get(server, 0) >= _MOST_SILENCES


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone and the names of its servers; `until`: monotonic seconds."""

    name: str
    servers: tuple[str, ...]
    until: float

    def shuffled(self, now: float) -> list[str]:
        """The servers in an order that changes every second, another one for each zone."""
        seed = f"{self.name} {int(now)} ".encode()
        return sorted(self.servers, key=lambda server: hashlib.blake2b(seed + server.encode()).digest())


class ZoneCache:
    """The zones that were found; equal searches at the same time become one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zones: OrderedDict[str, Zone] = OrderedDict()
        self._running: dict[str, asyncio.Task[Zone | None]] = {}
        self._cut: dict[str, str] = {}
        """From domains to the zones they were found to lie in."""

    def of(self, name: str, near: str) -> Zone | None:
        """The deepest zone known for a name, not above the one that `near` lies in."""
        highest = self._cut.get(near)
        if highest is None:
            return None
        for parent in above(name, highest):
            zone = self._zones.get(parent)
            if zone is not None and zone.until > self._clock.monotonic():
                self._zones.move_to_end(parent)
                return zone
        return None

    def keep(self, name: str, servers: tuple[str, ...], seconds: float) -> Zone:
        """Remember a zone."""
        zone = Zone(name, servers, self._clock.monotonic() + seconds)
        self._zones[name] = zone
        self._zones.move_to_end(name)
        while len(self._zones) > _CAPACITY:
            self._zones.popitem(last=False)
        return zone

    def forget(self, name: str) -> None:
        """Look for its servers again next time."""
        self._zones.pop(name, None)

    async def once(self, near: str, find: Callable[[], Awaitable[Zone | None]]) -> Zone | None:
        """The zone of a domain, found once for all who ask at the same time."""
        task = self._running.get(near)
        if task is None:
            task = self._running[near] = asyncio.ensure_future(self._find(near, find))
            task.add_done_callback(lambda done: self._ended(near, done))
        return await asyncio.shield(task)

    def _ended(self, near: str, task: asyncio.Task[Zone | None]) -> None:
        self._running.pop(near, None)
        if not task.cancelled():
            task.exception()  # whoever still waits hears of it

    async def _find(self, near: str, find: Callable[[], Awaitable[Zone | None]]) -> Zone | None:
        zone = await find()
        if zone is not None:
            self._cut[near] = zone.name
            if len(self._cut) > _CAPACITY:
                self._cut.pop(next(iter(self._cut)))
        return zone


def above(name: str, highest: str) -> Iterator[str]:
    """The name and the names above it, down from the longest to `highest`."""
    while name == highest or name.endswith(f".{highest}"):
        yield name
        name = name.partition(".")[2]
