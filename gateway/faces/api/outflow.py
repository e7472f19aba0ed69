"""Cutting off a peer that takes nothing of what was written for it."""

from __future__ import annotations

import asyncio


class Outflow:
    """Looks after what a connection has still to send, while it is asked to.

    However slow a peer is, it has the time it needs as long as it takes something now and then.
    """

    def __init__(self, seconds: float) -> None:
        """A peer is cut off that took nothing for `seconds`."""
        self._seconds = seconds
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.Transport) -> None:
        """Look from now on, unless that is done already."""
        if self._timer is None:
            self._unsent = transport.get_write_buffer_size()
            self._arm(transport)

    def stop(self) -> None:
        """All was sent, or the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._look, transport)

    def _look(self, transport: asyncio.Transport) -> None:
        before, self._unsent = self._unsent, transport.get_write_buffer_size()
        if self._unsent < before:
            self._arm(transport)
        else:
            transport.abort()
