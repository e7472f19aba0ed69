"""A message's header as octets: cut off, split into fields, put together again, nothing re-encoded.

Tolerant by design: whatever comes, the fields put together again are the block that went in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

# First a look ahead for a name (RFC 5322 §2.2) with obsolete white space before the colon (§4.5);
# then the line and its continuation lines. Neither can match the same octets in two ways, so matching
# is linear.
_FIELDS = re.compile(rb"(?=(?:([!-9;-~]+)[ \t]*:)?)([^\n]*\n(?:[ \t][^\n]*\n)*)")


class Field(NamedTuple):
    """One header field as it came (a tuple, for it is made twenty times a message).

    `name` is as written, without the colon, and empty for a malformed line; `raw` is the whole
    field with name, folding and final CRLF.
    """

    name: bytes
    raw: bytes

    @property
    def key(self) -> bytes:
        """The name in lower case, for comparing."""
        return self.name.lower()

    @property
    def value(self) -> bytes:
        """What stands behind the colon, unfolded (RFC 5322 §2.2.3), without white space around it.

        Of a malformed line: the whole line.
        """
        value = self.raw.partition(b":")[2] if self.name else self.raw
        return value.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t")

    @property
    def is_malformed(self) -> bool:
        """No field at all: a line without colon, or with something before it that is no field name."""
        return not self.name


# Makes a Field of a tuple of two without the Python code of its constructor.
_as_field = cast("Callable[[tuple[bytes, bytes]], Field]", partial(tuple.__new__, Field))


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields of a header, in order. Names are given in lower case to all methods."""

    fields: tuple[Field, ...]

    @property
    def raw(self) -> bytes:
        """The block as octets, without the empty line that ends it."""
        return b"".join([field.raw for field in self.fields])

    @property
    def malformed(self) -> tuple[Field, ...]:
        """The lines that are no fields."""
        return tuple(field for field in self.fields if not field.name)

    def get_all(self, name: bytes) -> tuple[Field, ...]:
        """Every field called `name` (lower case), from the top."""
        return tuple([field for field in self.fields if field.name.lower() == name])

    def first(self, name: bytes) -> Field | None:
        """The topmost field called `name` (lower case), or None."""
        for field in self.fields:
            if field.name.lower() == name:
                return field
        return None

    def without(self, names: Container[bytes]) -> HeaderBlock:
        """The block without the fields called one of `names` (lower case)."""
        return HeaderBlock(tuple([field for field in self.fields if field.name.lower() not in names]))

    def prepend(self, *fields: Field) -> HeaderBlock:
        """The block with `fields` on top."""
        return HeaderBlock(fields + self.fields)


@dataclass(frozen=True, slots=True)
class HeaderCounts:
    """What limits on a header ask for: fields, and octets without the empty line."""

    fields: int
    octets: int


def split_message(content: bytes) -> tuple[bytes, bytes]:
    """Header and body of a message with CRLF line ends; the empty line between them is in neither.

    The header's last line always has its CRLF. Without an empty line all of it is header.
    """
    if content.startswith(b"\r\n"):
        return b"", content[2:]
    end = content.find(b"\r\n\r\n")
    if end >= 0:
        return content[: end + 2], content[end + 4 :]
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    return content, b""


def count_header(block: bytes) -> HeaderCounts:
    """Fields and octets of a header block, without parsing it: ask this before `parse_header`."""
    lines = block.count(b"\n") + (not block.endswith(b"\n") and block != b"")
    folded = block.count(b"\n ") + block.count(b"\n\t")
    return HeaderCounts(lines - folded, len(block))


def parse_header(block: bytes) -> HeaderBlock:
    """The fields of a header block. Never raises.

    A line that is no field is kept as a field without a name. An LF alone ends a line too. A last
    line without line end gets its CRLF.
    """
    if block and not block.endswith(b"\n"):
        block += b"\r\n"
    return HeaderBlock(tuple(map(_as_field, _FIELDS.findall(block))))
