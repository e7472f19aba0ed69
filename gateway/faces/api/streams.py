"""How many requests of one caller may wait at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.faces.api.errors import TooManyRequests

MOST_STREAMS = 20
_PATIENCE_SECONDS = 5.0


class Streams:
    """Counts long polls and streams; used on one event loop."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._held: dict[str, int] = {}

    @contextmanager
    def held(self, caller: str) -> Iterator[None]:
        """One of a caller's streams, for the block. Raises TooManyRequests."""
        if self._held.get(caller, 0) >= self._most:
            raise TooManyRequests(_PATIENCE_SECONDS)
        self._held[caller] = self._held.get(caller, 0) + 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
