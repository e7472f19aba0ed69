"""What a rule says of the answers for one record, and words that several rules use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SMART_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb"
_QUOTES = "\"'`\\"


class Verdict(NamedTuple):
    """Whether the answers do what the record is for, and what to tell its owner."""

    valid: bool
    hint: str | None = None


def quotes_in(text: str) -> str | None:
    """The hint for quotes that have become part of a value; None without them."""
    if any(mark in text for mark in SMART_QUOTES):
        return (
            "Typographic quotes are part of the value: a word processor has put them there. "
            "Copy the value from here as plain text, without quotes."
        )
    if any(mark in text for mark in _QUOTES):
        return (
            "Quotes or backslashes are part of the value: the panel adds its own quotes. "
            "Enter the value without any."
        )
    return None


def unquoted(text: str) -> str:
    """The text without quotes of any kind and without the white space around it."""
    return "".join(mark for mark in text if mark not in SMART_QUOTES + _QUOTES).strip()


def shortened(text: str, length: int = 60) -> str:
    """A value as a sentence can hold it."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def listed(values: Sequence[str], most: int = 4) -> str:
    """Values as a sentence can hold them."""
    shown = ", ".join(shortened(value) for value in values[:most])
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown
