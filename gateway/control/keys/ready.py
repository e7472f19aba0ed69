"""Keys made ahead, for transactions that must not wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from gateway.control.keys.material import KeyMaker, KeyMaterial
from gateway.control.records import KeyAlgorithm


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
