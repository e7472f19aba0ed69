"""Cursors as callers hold them: sealed, so that nobody makes one, and nobody reads what stands in it.

A place in a list may be a counter of the whole installation, which would tell a tenant how busy all others
are. The key is the installation's: a cursor outlives a restart and a rotation of the master key.
"""

from __future__ import annotations

import base64
import binascii

from gateway.control.errors import Invalid
from gateway.system.secrets import Sealer, SecretError

LONGEST_CURSOR = 10_000
"""Characters; what is longer is no cursor."""

_KEY_ID = b"curs"


class CursorSeal:
    """Seals and opens the cursors of lists. Safe to share between threads."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 octets, the same for the life of the installation."""
        self._sealer = Sealer({_KEY_ID: key})

    def seal(self, cursor: str, listing: str) -> str:
        """A service's cursor as text for a URL, good for the list of this name alone."""
        sealed = self._sealer.seal(cursor.encode(), **_place(listing))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, sealed: str, listing: str) -> str:
        """The service's cursor. Raises Invalid for what `seal` did not make for this list."""
        try:
            octets = base64.b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4), b"-_", True)
            return self._sealer.open(octets, **_place(listing)).decode()
        except (ValueError, binascii.Error, SecretError):
            raise Invalid(
                "bad-cursor",
                "The cursor is not one of this list.",
                "Start without a cursor and follow the one each page gives.",
            ) from None


def _place(listing: str) -> dict[str, str]:
    return {"tenant": "", "table": "cursor", "row": listing, "column": "place"}
