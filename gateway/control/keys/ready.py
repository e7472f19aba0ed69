"""Keys made ahead, for transactions that must not wait for them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from gateway.control.keys.material import KeyMaker, KeyMaterial
from gateway.control.records import KeyAlgorithm

USUAL: tuple[KeyAlgorithm, int] = ("rsa-sha256", 2048)
"""The kind of key that new domains get."""


class ReadyKeys:
    """A KeyMaker that hands out keys which are there, and makes one itself where they were too few."""

    def __init__(self, keys: Iterable[KeyMaterial], make: KeyMaker) -> None:
        self._keys = deque(keys)
        self._make = make

    def __call__(self, algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
        """See KeyMaker."""
        for key in self._keys:
            if (key.algorithm, key.bits) == (algorithm, bits):
                self._keys.remove(key)
                return key
        return self._make(algorithm, bits)


class KeyStock:
    """A KeyMaker that keeps a few keys of the usual kind in stock, made by a thread of its own.

    The thread starts with the first key that is asked for: make it anywhere, use it after the fork only.
    """

    def __init__(self, make: KeyMaker, size: int = 8) -> None:
        """`size`: keys that wait in memory, at most."""
        self._make = make
        self._size = size
        self._stock: deque[Future[KeyMaterial]] = deque()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")

    def __call__(self, algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
        """A key of the stock, or one made now if it is empty or the kind an unusual one."""
        if (algorithm, bits) != USUAL:
            return self._make(algorithm, bits)
        with self._lock:
            ready = self._stock.popleft() if self._stock and self._stock[0].done() else None
            while len(self._stock) < self._size:
                self._stock.append(self._thread.submit(self._make, *USUAL))
        return self._make(algorithm, bits) if ready is None else ready.result()

    def close(self) -> None:
        """Make no more, and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
