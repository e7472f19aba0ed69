"""A slow peer is no dead one."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from gateway.faces.api.outflow import Outflow


class Transport:
    """Has so much left each time it is asked."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = iter(sizes)
        self.aborted = asyncio.Event()
        self.asked = 0

    def get_write_buffer_size(self) -> int:
        self.asked += 1
        return next(self._sizes)

    def abort(self) -> None:
        self.aborted.set()


async def test_a_peer_has_time_as_long_as_it_takes_something() -> None:
    transport = Transport(9, 8, 7, 6, 6)
    outflow = Outflow(0.001)
    outflow.watch(cast(Any, transport))
    outflow.watch(cast(Any, transport))
    async with asyncio.timeout(30):
        await transport.aborted.wait()
    assert transport.asked == 5


async def test_what_was_sent_is_looked_after_no_longer() -> None:
    done, dead = Transport(9), Transport(9, 9)
    outflow = Outflow(0.001)
    outflow.watch(cast(Any, done))
    outflow.stop()
    outflow.watch(cast(Any, dead))
    async with asyncio.timeout(30):
        await dead.aborted.wait()
    assert done.asked == 1 and not done.aborted.is_set()
