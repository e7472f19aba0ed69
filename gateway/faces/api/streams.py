"""Those who wait for events: bounded for each caller, told of news together, ended when the process ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from gateway.faces.api.errors import TooManyStreams

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gateway.control.events.feed import Feed
    from gateway.control.events.source import Position

LOOK_SECONDS = 0.25
"""How often the databases are asked whether there is anything new, however many wait."""

_MOST_OF_A_CALLER = 10
_MOST = 500

Places = Mapping[str, "Position"]


class Streams:
    """The readers of one process that wait. No reader holds a thread while it does."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waiting: Counter[str] = Counter()
        self._lock = Lock()
        self._seen: Places = {}
        self._seen_at = float("-inf")
        self.is_closed = False

    @contextmanager
    def joined(self, caller: str) -> Iterator[None]:
        """One reader more for this caller, for the block. Raises TooManyStreams."""
        with self._lock:
            if self._waiting[caller] >= _MOST_OF_A_CALLER or self._waiting.total() >= _MOST:
                raise TooManyStreams(_MOST_OF_A_CALLER)
            self._waiting[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[caller] -= 1
                if not self._waiting[caller]:
                    del self._waiting[caller]

    @property
    def count(self) -> int:
        """How many readers wait."""
        with self._lock:
            return self._waiting.total()

    async def places(self) -> Places:
        """Where the feed ends, at most LOOK_SECONDS ago: readers share one look. Raises DatabaseAway."""
        now = asyncio.get_running_loop().time()
        if now - self._seen_at >= LOOK_SECONDS:
            # Those who come while this one looks are content with what was seen before.
            self._seen_at = now
            self._seen = await run_in_threadpool(self._feed.places)
        return self._seen

    async def news(self, since: Places, seconds: float) -> bool:
        """Wait until the feed ends elsewhere than at `since`; False: it did not within that time, or the
        process ends. Raises DatabaseAway."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.is_closed:
            if await self.places() != since:
                return True
            left = end - loop.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(LOOK_SECONDS, left))
        return False

    def close(self) -> None:
        """End all waiting, within LOOK_SECONDS. Any thread."""
        self.is_closed = True


class EventStream(StreamingResponse):
    """Server-sent events that leave their place among the readers however they end."""

    media_type = "text/event-stream"

    def __init__(self, content: Any, place: AbstractContextManager[None]) -> None:
        """`place` has been entered."""
        super().__init__(content, headers={"X-Accel-Buffering": "no"})
        self._place = place

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.__exit__(None, None, None)
