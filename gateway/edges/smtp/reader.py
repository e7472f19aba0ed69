"""Incremental readers of SMTP's three kinds of input: command lines, DATA and BDAT.

A connection has one `bytearray`, to which whatever arrives is appended; the reader whose turn it is
takes from its front what is complete and leaves the rest to the next (RFC 2920 pipelining). Readers
do no I/O and remember how far they searched, so an octet is looked at once however small the pieces
are in which it arrives. A line ends with CRLF and with nothing else (RFC 5321 §2.3.8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

COMMAND_LIMIT = 12_288
"""Octets of a command line with its CRLF: RFC 4954 §4 asks 12288 for AUTH; others are held to less."""

_TERMINATOR = b"\r\n.\r\n"
_BDAT = re.compile(rb"([0-9]{1,19})(?: +(LAST))? *", re.IGNORECASE)


class CommandFault(Enum):
    """Why a command line is refused instead of read."""

    TOO_LONG = "too_long"
    """Over the limit; it has been thrown away up to its CRLF and the next line can be read."""
    BARE_NEWLINE = "bare_newline"
    """It has a CR or LF alone. What follows cannot be trusted to be commands: everything in the
    buffer has been thrown away, and the session is to answer and close."""


class CommandReader:
    """Takes command lines (and the lines of an AUTH exchange) from the buffer.

    `limit` is in octets with the CRLF.
    """

    __slots__ = ("_bare", "_discarding", "_searched", "limit")

    def __init__(self, limit: int = COMMAND_LIMIT) -> None:
        self.limit = limit
        self._searched = 0
        self._discarding = False
        self._bare = False  # what was thrown away had a CR alone

    def feed(self, buffer: bytearray) -> bytes | CommandFault | None:
        """The next line without its CRLF, or what is wrong with it, or None: more has to arrive.

        To be called again until None, for lines may have been pipelined.
        """
        end = buffer.find(b"\n", self._searched)
        if end < 0:
            self._wait_for_more(buffer)
            return None
        line = bytes(buffer[: end + 1])
        if self._bare or end == 0 or line.find(b"\r") != end - 1:
            buffer.clear()
            self._reset()
            return CommandFault.BARE_NEWLINE
        del buffer[: end + 1]
        too_long = self._discarding or end + 1 > self.limit
        self._reset()
        return CommandFault.TOO_LONG if too_long else line[:-2]

    def _wait_for_more(self, buffer: bytearray) -> None:
        if len(buffer) > self.limit:
            self._discarding = True
            self._bare = self._bare or buffer.find(b"\r", 0, len(buffer) - 1) >= 0
            del buffer[:-1]  # the last octet may be the CR of the line's end
        self._searched = len(buffer)

    def _reset(self) -> None:
        self._searched = 0
        self._discarding = False
        self._bare = False


@dataclass(frozen=True, slots=True)
class DataEnd:
    """A message has arrived completely.

    `content` is what was sent, CRLF line ends included, without dot-stuffing and terminator; it is
    empty if `too_big`. `octets` is the size it had on the wire, terminator and dots included.
    """

    content: bytes = field(repr=False)
    too_big: bool
    octets: int


class DataReader:
    """Reads one message after DATA (RFC 5321 §4.1.1.4, §4.5.2); make a new one for each.

    `limit` is in octets as RFC 1870 §5 counts them: without stuffed dots and terminator. Up to a
    third more may lie in the buffer, for dots; once over the limit everything is thrown away as it
    comes, and the end is still waited for.
    """

    __slots__ = ("_begun", "_counted", "_discarded", "_dots", "_limit", "_searched", "_stuffed", "_too_big")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = False
        self._searched = 0
        self._stuffed = False  # a line that begins with a dot and is not the end has been seen
        self._counted = 0
        self._dots = 0
        self._discarded = 0
        self._too_big = False

    def feed(self, buffer: bytearray) -> DataEnd | None:
        """The message once its end is in the buffer, else None. What follows it stays in the buffer."""
        if not self._begun:
            if len(buffer) < 3 and b".\r\n".startswith(buffer):
                return None
            if buffer.startswith(b".\r\n"):
                del buffer[:3]
                return DataEnd(b"", too_big=False, octets=3)
            self._begun = True
            self._dots = int(buffer.startswith(b"."))
        end = self._find_end(buffer)
        if end < 0:
            self._wait_for_more(buffer)
            return None
        return self._finish(buffer, end)

    def _find_end(self, buffer: bytearray) -> int:
        """Where the terminator begins, or -1.

        Until a stuffed dot is met, one search finds both it and the terminator; for most messages
        that saves the pass that takes the dots out.
        """
        start = max(self._searched - 4, 0)
        if not self._stuffed:
            start = buffer.find(b"\r\n.", start)
            if start < 0 or buffer.startswith(_TERMINATOR, start):
                return start
            if len(buffer) - start < 5 and _TERMINATOR.startswith(buffer[start:]):
                return -1
            self._stuffed = True
        return buffer.find(_TERMINATOR, start)

    def _finish(self, buffer: bytearray, end: int) -> DataEnd:
        octets = self._discarded + end + 5
        if self._too_big:
            del buffer[: end + 5]
            return DataEnd(b"", too_big=True, octets=octets)
        with memoryview(buffer) as view:
            content = bytes(view[: end + 2])
        del buffer[: end + 5]
        if content.startswith(b"."):
            content = content[1:]
        if self._stuffed:
            content = content.replace(b"\r\n.", b"\r\n")
        if len(content) > self._limit:
            return DataEnd(b"", too_big=True, octets=octets)
        return DataEnd(content, too_big=False, octets=octets)

    def _wait_for_more(self, buffer: bytearray) -> None:
        if not self._too_big and len(buffer) - 3 > self._limit:
            self._dots += buffer.count(b"\r\n.", self._counted)
            self._counted = len(buffer) - 2
            self._too_big = len(buffer) - 3 - self._dots > self._limit
        if self._too_big:
            self._discarded += max(len(buffer) - 4, 0)
            del buffer[:-4]  # these may be the beginning of the terminator
        self._searched = len(buffer)


@dataclass(frozen=True, slots=True)
class BdatEnd:
    """A chunk has arrived completely.

    `octets` is its size, `total` that of all chunks of the message so far. `content` is the whole
    message after the `last` chunk, else empty; it is empty too if `too_big`.
    """

    octets: int
    total: int
    last: bool
    too_big: bool
    content: bytes = field(default=b"", repr=False)


class BdatReader:
    """Reads the chunks of one message (RFC 3030 §2); make a new one for each.

    `limit` is in octets of the message. Chunks over it, and chunks that are refused, are counted
    and thrown away as they come: the client sends them in any case.
    """

    __slots__ = ("_last", "_left", "_limit", "_parts", "_size", "_total")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._total = 0
        self._size = 0
        self._left = 0
        self._last = False

    def begin(self, size: int, *, last: bool) -> None:
        """A BDAT command announces `size` octets; `feed` takes them."""
        self._size = self._left = size
        self._last = last
        self._total += size
        if self._total > self._limit:
            self._parts.clear()

    def feed(self, buffer: bytearray) -> BdatEnd | None:
        """The chunk once all of it has come, else None. What follows it stays in the buffer."""
        taken = min(self._left, len(buffer))
        too_big = self._total > self._limit
        if taken:
            if not too_big:
                with memoryview(buffer) as view:
                    self._parts.append(bytes(view[:taken]))
            del buffer[:taken]
            self._left -= taken
        if self._left:
            return None
        content = b"".join(self._parts) if self._last else b""
        if self._last:
            self._parts.clear()
        return BdatEnd(self._size, self._total, self._last, too_big, content)


def parse_bdat_argument(argument: bytes) -> tuple[int, bool]:
    """Size and LAST of what stands behind `BDAT ` (RFC 3030 §2). Raises ValueError: 501 5.5.4."""
    match = _BDAT.fullmatch(argument)
    if match is None:
        raise ValueError("BDAT needs a number of octets, and LAST behind the last chunk")
    return int(match[1]), match[2] is not None
