"""Return paths: `<token>@<shard>`, one per message and shard, that only we could have made.

A token is lower-case base32 (RFC 4648) of version, key id, the message's 16 octets and a
truncated HMAC-SHA256 over these and the shard's name: 45 characters.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from gateway.system.ids import decode_message_id, encode_message_id

_VERSION = 1
_MAC_OCTETS = 10
_TOKEN_OCTETS = 2 + 16 + _MAC_OCTETS
TOKEN_LENGTH = 45

# Python's base64.b32encode takes 13 µs for a token, a table of pairs 4; every message has one.
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS = range(220, -1, -10)
_PADDING_BITS = 6


class ReturnPaths:
    """Makes and verifies return paths.

    `keys` maps a key id (0–255) to its octets; `current` names the one that makes new tokens,
    the others still verify old ones while the master key rotates.
    """

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        if current not in keys:
            raise ValueError(f"key {current} is not among the return-path keys")
        self._keys = dict(keys)
        self._current = current

    def address(self, message_id: str, shard_name: str) -> str:
        """The return path of a message through a shard."""
        head = bytes((_VERSION, self._current)) + decode_message_id(message_id)
        token = head + self._mac(self._keys[self._current], head, shard_name)
        return f"{_encoded(token)}@{shard_name}"

    def verify(self, address: str) -> str | None:
        """The id of the message whose return path `address` (in any case) is, or None."""
        local, _, shard_name = address.rpartition("@")
        if len(local) != TOKEN_LENGTH:
            return None
        try:
            token = base64.b32decode(local.upper() + "=" * (-len(local) % 8))
        except (binascii.Error, ValueError):
            return None
        if len(token) != _TOKEN_OCTETS or token[0] != _VERSION or token[1] not in self._keys:
            return None
        head, mac = token[:-_MAC_OCTETS], token[-_MAC_OCTETS:]
        if not hmac.compare_digest(mac, self._mac(self._keys[token[1]], head, shard_name)):
            return None
        return encode_message_id(head[2:])

    @staticmethod
    def _mac(key: bytes, head: bytes, shard_name: str) -> bytes:
        return hmac.digest(key, head + shard_name.lower().encode("utf-8"), hashlib.sha256)[:_MAC_OCTETS]


def _encoded(token: bytes) -> str:
    """base32 (RFC 4648 §6) in lower case, without padding: 224 bits and one of padding in 45 characters."""
    number = int.from_bytes(token, "big") << _PADDING_BITS
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])[:TOKEN_LENGTH]
