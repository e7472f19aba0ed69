"""Which events a webhook wants: types, or prefixes of types. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.control.errors import Invalid
from gateway.control.events.types import PREFIX, EventType
from gateway.control.lookup import shown

EVERYTHING = "*"
_MOST_FILTERS = 50
_TYPES = tuple(one.value for one in EventType)


def parse_filters(texts: Iterable[str]) -> list[str]:
    """The filters without the prefix of all types, each once, in order; none: everything. Raises Invalid."""
    filters = list(dict.fromkeys(text.removeprefix(PREFIX) for text in texts)) or [EVERYTHING]
    for text in filters:
        if not any(wants([text], kind) for kind in _TYPES):
            raise Invalid(
                "bad-event-filter",
                f"{shown(text)} names no events.",
                "Give a type such as message.delivered, a prefix such as message.*, or * for all.",
            )
    if len(filters) > _MOST_FILTERS:
        raise Invalid(
            "too-many-event-filters",
            f"{len(filters)} filters are too many.",
            f"Give {_MOST_FILTERS} at most.",
        )
    return filters


def wants(filters: Iterable[str], kind: str) -> bool:
    """Whether a filter names events of this type. "message.*" is every type that begins with "message."."""
    word = kind.removeprefix(PREFIX)
    return any(
        one in (EVERYTHING, word) or (one.endswith(".*") and word.startswith(one[:-1])) for one in filters
    )
