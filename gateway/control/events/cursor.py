"""Where a reader stands, as text that only this program reads."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.control.errors import Invalid
from gateway.control.events.source import Position

_VERSION = 1
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position for each source, and when it was handed out (seconds since 1970)."""

    positions: Mapping[str, Position]
    made_at: float


def encode_cursor(cursor: Cursor) -> str:
    """The cursor as text without characters that a URL would change."""
    positions = {name: list(position) for name, position in sorted(cursor.positions.items())}
    document = [_VERSION, int(cursor.made_at), positions]
    octets = json.dumps(document, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """The other way round. Raises Invalid for what `encode_cursor` did not make."""
    try:
        if len(text) > _LONGEST:
            raise ValueError("too long")
        octets = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        version, made_at, positions = json.loads(octets)
        if version != _VERSION or not _is_number(made_at):
            raise ValueError("another version")
        return Cursor({name: _position(value) for name, value in positions.items()}, float(made_at))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise Invalid(
            "bad-cursor",
            "This is no cursor of the events.",
            "Give one that an answer of `gatepost events list` had, or none to begin with the oldest event.",
        ) from error


def _position(value: Any) -> Position:
    if not isinstance(value, list) or not 0 < len(value) <= 4 or not all(map(_is_number, value)):
        raise ValueError("no position")
    return tuple(value)


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63
