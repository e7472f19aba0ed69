"""How an app password looks: the ones we make, and the rules for those a caller chooses.

A server-made one is `gp_`, 7 characters that name it, 22 that are secret (131 bits) and 6 of CRC-32
over all before, in base62: 38 characters. The prefix is for secret scanners, the name finds its one
hash, and the checksum tells a mistyped one from a wrong one without a look at the database.
"""

from __future__ import annotations

import hmac
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

PREFIX = "gp_"
KEY_ID_LENGTH = 7
SECRET_LENGTH = 22
CHECKSUM_LENGTH = 6
PASSWORD_LENGTH = len(PREFIX) + KEY_ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH

CHOSEN_SHORTEST = 18
CHOSEN_LONGEST = 40
# Short on purpose: it has to tell an account's four passwords apart, and to say no more about them.
TAG_OCTETS = 2

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{KEY_ID_LENGTH}}})[0-9A-Za-z]{{28}}", re.ASCII)
_KEY_ID = re.compile(rf"[0-9A-Za-z]{{{KEY_ID_LENGTH}}}", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerPassword:
    """A password that this program made; `text` is the secret, kept out of every printed form."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"ServerPassword(key_id={self.key_id!r})"


def make_password(random_bytes: Callable[[int], bytes]) -> ServerPassword:
    """A fresh password of 38 characters with upper case, lower case and a digit.

    `random_bytes(n)` gives n octets of cryptographic randomness.
    """
    while True:
        drawn = _draw(KEY_ID_LENGTH + SECRET_LENGTH, random_bytes)
        body = PREFIX + drawn
        text = body + _checksum(body)
        # The alphabet alone promises no mixture, and some clients refuse a password without one.
        if _has_upper_lower_digit(text):
            return ServerPassword(drawn[:KEY_ID_LENGTH], text)


def parse_password(text: str) -> ServerPassword | None:
    """The server-made password that `text` is, or None: another shape, or a checksum that is wrong."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    body = text[:-CHECKSUM_LENGTH]
    if not hmac.compare_digest(_checksum(body), text[-CHECKSUM_LENGTH:]):
        return None
    return ServerPassword(shape[1], text)


def is_key_id(text: str) -> bool:
    """Whether `text` has the shape of the name of a server-made password."""
    return _KEY_ID.fullmatch(text) is not None


def chosen_password_faults(text: str) -> tuple[str, ...]:
    """What is wrong with a password that a caller chose; empty when it may be used."""
    faults = []
    if not CHOSEN_SHORTEST <= len(text) <= CHOSEN_LONGEST:
        faults.append(f"it must have {CHOSEN_SHORTEST} to {CHOSEN_LONGEST} characters, not {len(text)}")
    if not _PRINTABLE.fullmatch(text):
        faults.append("it must be printable ASCII without spaces")
    if not _has_upper_lower_digit(text):
        faults.append("it must have an upper-case letter, a lower-case letter and a digit")
    if text.startswith(PREFIX):
        # Such a one would be looked up as one of ours, and never found.
        faults.append(f"it must not begin with {PREFIX}, which marks passwords made by this server")
    return tuple(faults)


def chosen_password_tag(key: bytes, account_id: str, text: str) -> str:
    """The short mark by which an account's chosen password is found: 4 hexadecimal characters.

    `key` is the master key's sub-key `credential-tag`. The account is part of it, so that the same
    password of two accounts has two marks.
    """
    mark = hmac.digest(key, account_id.encode() + b"\0" + text.encode("utf-8", "surrogatepass"), "sha256")
    return mark[:TAG_OCTETS].hex()


def _draw(length: int, random_bytes: Callable[[int], bytes]) -> str:
    """`length` characters, each of the 62 equally likely."""
    characters: list[str] = []
    while len(characters) < length:
        # 248 is the largest multiple of 62 an octet holds; taking the rest would favour some characters.
        characters += [_ALPHABET[octet % 62] for octet in random_bytes(length) if octet < 248]
    return "".join(characters[:length])


def _checksum(text: str) -> str:
    rest = zlib.crc32(text.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _has_upper_lower_digit(text: str) -> bool:
    return (
        any("A" <= c <= "Z" for c in text)
        and any("a" <= c <= "z" for c in text)
        and any("0" <= c <= "9" for c in text)
    )
