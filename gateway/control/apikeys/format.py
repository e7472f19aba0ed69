"""How an API key looks: `gpk_`, 7 characters that name it, 22 that are secret, 6 of checksum, in base62.

The shape of an app password (see `gateway.control.credentials.format`) under another prefix, so that
neither is ever taken for the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from gateway.control.credentials.format import PREFIX as PASSWORD_PREFIX
from gateway.control.credentials.format import make_password, parse_password

PREFIX = "gpk_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key; `text` is the secret, kept out of every printed form."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"ApiKey(key_id={self.key_id!r})"

    @property
    def hash(self) -> str:
        """What is stored of it: SHA-256 in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def make_api_key(random_bytes: Callable[[int], bytes]) -> ApiKey:
    """A fresh key of 39 characters; `random_bytes(n)` gives n octets of cryptographic randomness."""
    made = make_password(random_bytes)
    return ApiKey(made.key_id, PREFIX + made.text.removeprefix(PASSWORD_PREFIX))


def parse_api_key(text: str) -> ApiKey | None:
    """The key that `text` is, or None: another shape, or a checksum that is wrong."""
    if not text.startswith(PREFIX):
        return None
    found = parse_password(PASSWORD_PREFIX + text.removeprefix(PREFIX))
    return ApiKey(found.key_id, text) if found is not None else None
