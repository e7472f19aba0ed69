"""DNS messages as octets (RFC 1035, 6891): questions written, answers read under limits.

Only what the watch over domains needs, in a tenth of the time that a full library takes. Anything that is
odd raises Malformed: half of an answer is none.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from types import MappingProxyType

from gateway.system.observation import Question

LONGEST_MESSAGE = 16_384
"""More than any record of ours needs; a longer answer is not read."""

UDP_SIZE = 1_232
_MOST_RECORDS = 256
_LONGEST_NAME = 255
_CODES = MappingProxyType({"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33})
_TYPES = MappingProxyType({code: name for name, code in _CODES.items()})
_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
_OPT = struct.pack("!BHHIH", 0, 41, UDP_SIZE, 0, 0)
_HEAD = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")
_IN = 1


class Malformed(ValueError):
    """Octets that are no usable answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record: `value` as Observation has it; of an SOA its last field, the negative TTL."""

    owner: str
    type: str
    ttl: int
    value: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: what it says in its answer section, and in its authority section."""

    rcode: str
    authoritative: bool
    truncated: bool
    answers: tuple[Row, ...] = ()
    authority: tuple[Row, ...] = ()


def encode_question(question: Question, case: int) -> bytes:
    """The question section; bit n of `case` chooses capitals for letter n, which must come back so.

    Raises Malformed if the name cannot be one.
    """
    octets = bytearray()
    for label in question.name.rstrip(".").split("."):
        raw = label.encode("ascii", "replace").lower()
        if not 0 < len(raw) < 64 or b"\\" in raw or b"?" in raw:
            raise Malformed(f"{question.name!r} is no name")
        octets.append(len(raw))
        octets += raw
    if len(octets) >= _LONGEST_NAME:
        raise Malformed(f"{question.name!r} is too long")
    for place, octet in enumerate(octets):
        if 97 <= octet <= 122 and case >> place & 1:
            octets[place] = octet - 32
    return bytes(octets) + struct.pack("!BHH", 0, _CODES[question.type], _IN)


def encode_query(number: int, question: bytes, *, recursive: bool) -> bytes:
    """A whole query with EDNS, for a question section."""
    return _HEAD.pack(number, 0x0100 if recursive else 0, 1, 0, 0, 1) + question + _OPT


def echoes(message: bytes, question: bytes) -> bool:
    """Whether a message is an answer to this very question, in upper and lower case too."""
    return (
        len(message) >= 12 + len(question)
        and message[2] & 0xF8 == 0x80
        and message[4:6] == b"\x00\x01"
        and message[12 : 12 + len(question)] == question
    )


def decode_reply(message: bytes, question: bytes) -> Reply:
    """Read an answer whose question is `question`. Raises Malformed."""
    if len(message) > LONGEST_MESSAGE:
        raise Malformed(f"an answer of {len(message)} octets")
    try:
        return _decoded(message, 12 + len(question))
    except (IndexError, struct.error):
        raise Malformed("an answer that ends too soon") from None


def _decoded(message: bytes, place: int) -> Reply:
    _, flags, _, answers, authority, _ = _HEAD.unpack_from(message)
    code = flags & 0xF
    rcode = _RCODES[code] if code < len(_RCODES) else f"RCODE{code}"
    authoritative, truncated = bool(flags & 0x0400), bool(flags & 0x0200)
    if truncated:
        return Reply(rcode, authoritative, True)
    if answers + authority > _MOST_RECORDS:
        raise Malformed(f"an answer of {answers + authority} records")
    reader = _Reader(message, place)
    rows = [reader.row() for _ in range(answers + authority)]
    first, rest = rows[:answers], rows[answers:]
    return Reply(
        rcode,
        authoritative,
        False,
        tuple(row for row in first if row is not None),
        tuple(row for row in rest if row is not None),
    )


class _Reader:
    """Goes through the records of a message."""

    def __init__(self, message: bytes, place: int) -> None:
        self._message = message
        self._place = place

    def row(self) -> Row | None:
        """The next record; None for one of no interest."""
        owner, place = self._name(self._place)
        code, family, ttl, length = _FIXED.unpack_from(self._message, place)
        start = place + _FIXED.size
        self._place = start + length
        if self._place > len(self._message):
            raise IndexError
        kind = _TYPES.get(code)
        if kind is None or family != _IN:
            return None
        # RFC 2181 §8: a TTL with its highest bit set is none.
        return Row(owner, kind, ttl if ttl < 1 << 31 else 0, self._value(kind, start, self._place))

    def _value(self, kind: str, start: int, end: int) -> str:
        if kind == "TXT":
            return _text(self._message[start:end])
        if kind in ("A", "AAAA"):
            if end - start != (4 if kind == "A" else 16):
                raise Malformed(f"an {kind} record of {end - start} octets")
            return str(ipaddress.ip_address(self._message[start:end]))
        if kind == "MX":
            (preference,) = struct.unpack_from("!H", self._message, start)
            return f"{preference} {self._name(start + 2)[0]}"
        if kind == "SRV":
            numbers = " ".join(map(str, struct.unpack_from("!HHH", self._message, start)))
            return f"{numbers} {self._name(start + 6)[0]}"
        if kind == "SOA":
            return str(struct.unpack_from("!I", self._message, end - 4)[0])
        return self._name(start)[0]

    def _name(self, place: int) -> tuple[str, int]:
        """The name there, and where what follows it begins. Pointers may only lead back."""
        labels: list[str] = []
        end, octets = 0, 0
        while True:
            length = self._message[place]
            if length >= 0xC0:
                target = (length & 0x3F) << 8 | self._message[place + 1]
                end = end or place + 2
                if target >= place:
                    raise Malformed("a name that leads forward")
                place = target
            elif length >= 0x40:
                raise Malformed("a label of an unknown kind")
            elif length:
                labels.append(_label(self._message[place + 1 : place + 1 + length]))
                octets += length + 1
                place += length + 1
                if octets >= _LONGEST_NAME or place >= len(self._message):
                    raise Malformed("a name that is too long")
            else:
                return ".".join(labels), end or place + 1


def _label(octets: bytes) -> str:
    text = octets.decode("latin-1")
    if text.isascii() and text.isprintable() and not set(text) & {".", "\\", " "}:
        return text.lower()
    return "".join(
        chr(one) if 33 <= one <= 126 and one not in b".\\" else f"\\{one:03d}" for one in octets.lower()
    )


def _text(octets: bytes) -> str:
    """The strings of a TXT record joined, so that they can be shown."""
    joined, place = bytearray(), 0
    while place < len(octets):
        length = octets[place]
        if place + 1 + length > len(octets):
            raise Malformed("a string that is longer than its record")
        joined += octets[place + 1 : place + 1 + length]
        place += 1 + length
    if 0 in joined:
        raise Malformed("a NUL in a TXT record")
    text = joined.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
