"""Keys made ahead: an RSA key takes 50 ms of a core and more, and provisioning wants one for each domain."""

from __future__ import annotations

import threading
from collections import deque

from gateway.control.keys.material import KeyMaker, KeyMaterial, make_key
from gateway.control.records import KeyAlgorithm

_KIND: KeyAlgorithm = "rsa-sha256"
_BITS = 2048


class KeyReserve:
    """A KeyMaker with some keys of the usual kind ready; what it has not is made as it is asked for.

    A thread of its own fills it, from `start` to `stop`. Each key is given out once.
    """

    def __init__(self, make: KeyMaker = make_key, size: int = 8) -> None:
        """`size`: how many keys lie ready; they are in memory only."""
        self._make = make
        self._size = size
        self._ready: deque[KeyMaterial] = deque()
        self._taken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="key-reserve", daemon=True)

    def start(self) -> None:
        """Begin to make keys; after the fork only."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and forget the keys."""
        self._stopping.set()
        self._taken.set()
        self._thread.join()
        self._ready.clear()

    def __call__(self, algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
        """A fresh key pair: one that lay ready, or one made now."""
        if (algorithm, bits) == (_KIND, _BITS):
            try:
                return self._ready.popleft()
            except IndexError:
                pass
            finally:
                self._taken.set()
        return self._make(algorithm, bits)

    def _fill(self) -> None:
        while not self._stopping.is_set():
            self._taken.clear()
            if len(self._ready) < self._size:
                self._ready.append(self._make(_KIND, _BITS))
            else:
                self._taken.wait()
