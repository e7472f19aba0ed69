"""All sessions of one process: the sweep over their deadlines, and draining."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from gateway.system.clock import Clock


class Sweepable(Protocol):
    """What the registry asks of a session."""

    def sweep(self, now: float) -> None:
        """Look at the deadlines at monotonic time `now`."""
        ...

    def drain(self) -> None:
        """Say goodbye as soon as no command is being worked on."""
        ...

    def abort(self) -> None:
        """Drop the connection at once; work that commits goes on to its end."""
        ...


class SessionRegistry:
    """The sessions of one process, from their connection to the end of their last command."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: set[Sweepable] = set()
        self._empty: asyncio.Future[None] | None = None
        self.draining = False

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Sweepable]:
        return iter(tuple(self._sessions))

    def add(self, session: Sweepable) -> None:
        """A client has connected."""
        self._sessions.add(session)

    def discard(self, session: Sweepable) -> None:
        """A session is over, its last command included."""
        self._sessions.discard(session)
        if not self._sessions and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def sweep(self) -> None:
        """One look at everybody's deadlines; to be called about once a second."""
        now = self._clock.monotonic()
        for session in self:
            session.sweep(now)

    async def drain(self, seconds: float) -> bool:
        """End all sessions: idle ones now, the others after their command, all after `seconds`.

        Returns whether all went by themselves. What is committing when the time is over goes on; its
        client just does not hear of it.
        """
        self.draining = True
        for session in self:
            session.drain()
        if await self._wait_until_empty(seconds):
            return True
        for session in self:
            session.abort()
        await self._wait_until_empty(1.0)
        return False

    async def _wait_until_empty(self, seconds: float) -> bool:
        if not self._sessions:
            return True
        self._empty = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait([self._empty], timeout=seconds)
        self._empty = None
        return bool(done)
