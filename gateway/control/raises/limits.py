"""Which limits can be raised, and how callers name them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.control.policies.keys import KEYS, SCOPE_LIMITS

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "minutely": "messages_per_minute",
        "hourly": "messages_per_hour",
        "daily": "messages_per_day",
        "monthly": "messages_per_month",
        "recipients": "recipients_per_day",
        "first_time": "first_time_recipients_per_day",
        "storage": "storage_bytes",
    }
)
"""Short names of the limits."""


def parse_limits(limits: Mapping[str, int | str]) -> dict[str, int]:
    """The limits by their full names. Numbers may be texts, sizes have units. Raises Invalid."""
    if not limits:
        raise Invalid("no-limit", "No limit is named.", f"Name one of {', '.join(ALIASES)}: daily=500.")
    parsed: dict[str, int] = {}
    for word, value in limits.items():
        name = ALIASES.get(word, word)
        if name not in SCOPE_LIMITS:
            known = ", ".join((*ALIASES, *SCOPE_LIMITS))
            raise Invalid("bad-limit-name", f"{shown(word)} is no limit.", f"Choose from {known}.")
        if name in parsed:
            raise Invalid("bad-limit-name", f"{name} is given twice.", "Give each limit once.")
        parsed[name] = _value(name, value)
    return parsed


def _value(name: str, value: int | str) -> int:
    reader = KEYS[f"limits.account.{name}"].reader
    given: object = int(value) if isinstance(value, str) and value.isdecimal() else value
    try:
        # A raise says how far; "unlimited" says nothing.
        return int(cast("int", reader.read(given)))
    except (ValueError, TypeError):
        raise Invalid(
            "bad-limit",
            f"{shown(str(value))} is no value for {name}.",
            "Give a whole number, or for storage a size such as 2 GiB.",
        ) from None
