"""A peer's replies, parsed as the octets come in (RFC 5321 §4.2)."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_LINE_OCTETS = 4096
"""RFC 5321 §4.5.3.1.5 allows 512; real servers send more."""

MAX_REPLY_OCTETS = 65_536

_MOST_KNOWN = 16

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?=\s|$)[ \t]*")
_CODE = re.compile(rb"[2-5][0-9]{2}")
_UNSAFE = re.compile(r"[^\x20-\x7e]")


class ReplyError(Exception):
    """The peer sent something that is not an SMTP reply: the connection cannot be used further."""


class PeerReply(NamedTuple):
    """One whole reply: its code and the text of its lines, joined by LF, as they came."""

    code: int
    octets: bytes

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463) if the reply has one of its own class."""
        found = _ENHANCED.match(self.octets[:16].decode("latin-1"))
        if found is None or found[1][0] != str(self.code)[0]:
            return None
        return found[1]

    @property
    def text(self) -> str:
        """Code and text in one line of printable ASCII, for records and reports."""
        return f"{self.code} {printable(self.octets)}".rstrip()


def printable(octets: bytes) -> str:
    """Octets from outside as one line of printable ASCII, at most 1000 characters."""
    text = octets[:1000].decode("utf-8", "replace").replace("\n", " ")
    return _UNSAFE.sub("?", text)


class ReplyReader:
    """Cuts a stream of octets into replies."""

    __slots__ = ("_buffer", "_code", "_known", "_lines", "_size")

    def __init__(self) -> None:
        # A peer says the same few things over and over.
        self._known: dict[bytes, PeerReply] = {}
        self._buffer = b""
        self._code = 0
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def is_between_replies(self) -> bool:
        """Whether nothing of a further reply has come yet."""
        return not self._buffer and not self._lines

    def feed(self, octets: bytes) -> list[PeerReply]:
        """The replies that `octets` complete, in order.

        Raises ReplyError at anything that is no reply, or is too long.
        """
        if self._buffer:
            octets = self._buffer + octets
        lines = octets.split(b"\n")
        self._buffer = lines.pop()
        if len(self._buffer) > MAX_LINE_OCTETS:
            raise ReplyError("the peer sent a reply line without end")
        replies: list[PeerReply] = []
        for line in lines:
            reply = self._known.get(line) if not self._lines else None
            if reply is None:
                reply = self._take(line)
            if reply is not None:
                replies.append(reply)
        return replies

    def _take(self, line: bytes) -> PeerReply | None:
        if line.endswith(b"\r"):
            line = line[:-1]
        digits, mark = line[:3], line[3:4]
        if not _CODE.fullmatch(digits) or mark not in (b" ", b"-", b"") or len(line) > MAX_LINE_OCTETS:
            raise ReplyError(f"the peer sent something that is no SMTP reply: {printable(line)[:100]}")
        code = int(digits)
        if self._lines:
            self._size += len(line)
            if self._size > MAX_REPLY_OCTETS:
                raise ReplyError("the peer sent a reply that does not end")
            if code != self._code:
                raise ReplyError(f"the peer sent a reply with codes {self._code} and {code}")
        if mark == b"-":
            self._code = code
            self._lines.append(line[4:])
            return None
        if not self._lines:
            reply = PeerReply(code, line[4:])
            if len(self._known) < _MOST_KNOWN:
                self._known[line + b"\r"] = reply
            return reply
        self._lines.append(line[4:])
        whole = PeerReply(code, b"\n".join(self._lines))
        self._lines.clear()
        self._size = 0
        return whole
