"""SMTP replies as values (RFC 5321 §4.2, RFC 2034, RFC 3463), and the exception that carries one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LINE_LIMIT = 512
"""Octets of one reply line, CRLF included (RFC 5321 §4.5.3.1.5)."""

_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_WIRE_LINE = re.compile(r"([2-5][0-5][0-9])(?:([ -])(.*))?", re.DOTALL)
_STATUS_AND_TEXT = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)(.*)", re.DOTALL)


class ReplyError(ValueError):
    """What a server sent is no SMTP reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: a code, an enhanced status code (None where RFC 2034 has none) and its text.

    `text` may have several lines, parted by "\\n", and may quote what a client or a peer sent: a
    reply is made harmless when it is written, not when it is made.
    Raises ValueError for a code outside 200-599 or an enhanced code of another class than the code.
    """

    code: int
    enhanced: str | None
    text: str

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"{self.code} is not an SMTP reply code (200 to 599)")
        status = self.enhanced
        if status is not None and (not _ENHANCED.fullmatch(status) or int(status[0]) != self.code // 100):
            raise ValueError(f"{status} is not an enhanced status code that goes with {self.code}")

    @property
    def is_positive(self) -> bool:
        """2xx, and 3xx: go on."""
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """4xx: the same again later may succeed."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5xx: the same again will fail again."""
        return self.code >= 500

    def wire(self, *, smtputf8: bool = False) -> bytes:
        """The octets to send, CRLF included, every line at most 512 of them.

        Control characters become "?"; so does what is not ASCII, unless `smtputf8` (RFC 6531 §3.7.4.2).
        Long lines are wrapped.
        """
        code, status, text = self.code, self.enhanced, self.text
        if len(text) < 480 and text.isascii() and text.isprintable():
            head = f"{code} {status} " if status else f"{code} "
            return f"{head}{text}\r\n".encode("ascii")
        prefix = f"{status} " if status else ""
        room = LINE_LIMIT - len(f"{code} {prefix}\r\n")
        lines = [wrapped for line in text.split("\n") for wrapped in _wrap(_harmless(line, smtputf8), room)]
        written = [f"{code}-{prefix}".encode("ascii") + line for line in lines[:-1]]
        written.append(f"{code} {prefix}".encode("ascii") + lines[-1])
        return b"\r\n".join(written) + b"\r\n"

    def __str__(self) -> str:
        """One line for logs and records: code, status, text."""
        return " ".join(part for part in (str(self.code), self.enhanced, " ".join(self.text.split())) if part)


class Refusal(Exception):
    """Something is refused: `reply` is for the client, `rule` names for the log what refused it."""

    def __init__(self, reply: Reply, rule: str) -> None:
        super().__init__(f"{reply} [{rule}]")
        self.reply = reply
        self.rule = rule


def parse_reply_lines(lines: Iterable[bytes | str]) -> Reply:
    """The reply of a peer from its lines, with or without their CRLF.

    An enhanced code at the start of the lines is taken off where its class goes with the code.
    Raises ReplyError if a line is no reply line, the codes differ, or the last line is missing.
    """
    code = ""
    texts: list[str] = []
    finished = False
    for line in lines:
        text = line if isinstance(line, str) else line.decode("utf-8", "replace")
        match = _WIRE_LINE.fullmatch(text.rstrip("\r\n"))
        if match is None or finished or (code and match[1] != code):
            raise ReplyError(f"not an SMTP reply line where one belongs: {text[:100]!r}")
        code = match[1]
        finished = match[2] != "-"
        texts.append(match[3] or "")
    if not finished:
        raise ReplyError(f"the SMTP reply {code or '(empty)'} has no last line")
    status, texts = _take_status(code, texts)
    return Reply(int(code), status, "\n".join(texts))


def _take_status(code: str, texts: list[str]) -> tuple[str | None, list[str]]:
    first = _STATUS_AND_TEXT.fullmatch(texts[0])
    if first is None or first[1][0] != code[0]:
        return None, texts
    status = first[1]
    return status, [
        match[2] if (match := _STATUS_AND_TEXT.fullmatch(text)) and match[1] == status else text
        for text in texts
    ]


def _harmless(line: str, smtputf8: bool) -> bytes:
    clean = "".join(character if character.isprintable() else "?" for character in line.replace("\t", " "))
    return clean.encode("utf-8" if smtputf8 else "ascii", "replace")


def _wrap(line: bytes, room: int) -> Iterator[bytes]:
    """Pieces of at most `room` octets, cut at a space if there is one, never inside a character."""
    while len(line) > room:
        cut = line.rfind(b" ", room // 2, room + 1)
        if cut < 0:
            cut = room
            while line[cut] & 0xC0 == 0x80:
                cut -= 1
        yield line[:cut]
        line = line[cut:].lstrip(b" ")
    yield line
