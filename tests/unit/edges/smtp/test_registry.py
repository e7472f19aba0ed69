"""The sessions of a process: swept together, ended together."""

from __future__ import annotations

import asyncio

from gateway.edges.smtp.registry import SessionRegistry
from gateway.system.clock import ManualClock


class Session:
    def __init__(self, registry: SessionRegistry, *, stays: bool = False) -> None:
        self.registry = registry
        self.stays = stays
        self.swept: list[float] = []
        self.heard: list[str] = []
        registry.add(self)

    def sweep(self, now: float) -> None:
        self.swept.append(now)
        self.registry.discard(self)  # a sweep may end sessions

    def drain(self) -> None:
        self.heard.append("drain")
        if not self.stays:
            asyncio.get_running_loop().call_soon(self.registry.discard, self)

    def abort(self) -> None:
        self.heard.append("abort")
        self.registry.discard(self)


def test_a_sweep_sees_everybody_once() -> None:
    clock = ManualClock()
    registry = SessionRegistry(clock)
    sessions = [Session(registry) for _ in range(3)]
    registry.sweep()
    assert [session.swept for session in sessions] == [[clock.monotonic()]] * 3
    assert len(registry) == 0


async def test_draining_an_empty_registry_is_done_at_once() -> None:
    registry = SessionRegistry(ManualClock())
    assert await registry.drain(60)
    assert registry.draining


async def test_draining_waits_for_the_last_session() -> None:
    registry = SessionRegistry(ManualClock())
    sessions = [Session(registry) for _ in range(3)]
    assert await registry.drain(60)
    assert [session.heard for session in sessions] == [["drain"]] * 3


async def test_who_stays_is_dropped() -> None:
    registry = SessionRegistry(ManualClock())
    quick, stubborn = Session(registry), Session(registry, stays=True)
    assert not await registry.drain(0.01)
    assert quick.heard == ["drain"]
    assert stubborn.heard == ["drain", "abort"]
