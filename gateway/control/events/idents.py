"""Ids of events that are kept by number: from the number, but nobody sees it in them.

Numbers are of the whole installation: in ids they would tell each tenant how much happens to all others.
"""

from __future__ import annotations

import hashlib
import hmac

_OCTETS = 16


class EventIds:
    """Makes ids. The same event has the same id for the life of the installation."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 octets, the same for the life of the installation."""
        self._key = key

    def of(self, source: str, number: int) -> str:
        """The id of a source's event: 32 hexadecimal digits."""
        text = f"{source}\n{number}".encode()
        return hmac.new(self._key, text, hashlib.sha256).digest()[:_OCTETS].hex()
