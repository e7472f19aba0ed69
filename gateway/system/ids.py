"""Identifiers: UUIDv7 (RFC 9562 §5.7) for resources, its base32hex form for messages."""

from __future__ import annotations

import os
from collections.abc import Callable

from gateway.system.clock import Clock

MESSAGE_ID_LENGTH = 26

# Python's base64.b32hexencode takes 8 µs for an id, a table of pairs 2; every message has one.
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS = range(120, -1, -10)
_PADDING_BITS = 2


class IdSource:
    """Makes identifiers that sort by the time they were made (to the millisecond).

    `random_bytes` is the source of randomness, `os.urandom` unless a test passes another.
    """

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._random_bytes = random_bytes

    def raw(self) -> bytes:
        """The 16 octets of a fresh UUIDv7."""
        milliseconds = int(self._clock.now() * 1000)
        random = bytearray(self._random_bytes(10))
        random[0] = 0x70 | (random[0] & 0x0F)
        random[2] = 0x80 | (random[2] & 0x3F)
        return milliseconds.to_bytes(6, "big") + bytes(random)

    def uuid(self) -> str:
        """A fresh UUIDv7 in its usual 36-character form: the id of every resource."""
        text = self.raw().hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def message_id(self) -> str:
        """A fresh queue id: 26 lower-case base32hex characters that sort by time."""
        return encode_message_id(self.raw())


def encode_message_id(raw: bytes) -> str:
    """The 26-character queue id of 16 octets: base32hex (RFC 4648 §7) in lower case, without padding."""
    number = int.from_bytes(raw, "big") << _PADDING_BITS
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def decode_message_id(text: str) -> bytes:
    """The 16 octets behind a queue id, in any case.

    Raises ValueError if `text` is not one.
    """
    if len(text) != MESSAGE_ID_LENGTH:
        raise ValueError(f"a message id has {MESSAGE_ID_LENGTH} characters, this has {len(text)}")
    if not (text.isascii() and text.isalnum()):
        raise ValueError("a message id has letters and digits only")
    number = int(text, 32)  # its digits are base32hex's
    return (number >> _PADDING_BITS).to_bytes(16, "big")
