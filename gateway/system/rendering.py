"""How values are shown as JSON, whoever asks: views as objects, times in RFC 3339, sets sorted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from gateway.system.moments import calendar_time


def is_time(key: str) -> bool:
    """Whether a field of this name holds a time in seconds since 1970."""
    return key in ("at", "since", "until") or key.endswith(("_at", "_until"))


def iso(seconds: float) -> str:
    """Seconds since 1970 as `2026-11-23T20:41:07Z`."""
    return calendar_time(seconds).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def plain(value: Any, key: str = "") -> Any:
    """A value as JSON has it: dataclasses as objects, sets sorted, `…_at` numbers as RFC 3339."""
    kind = type(value)
    # Most values are of these: a page has thousands.
    if value is None or kind is str or kind is bool:
        return value
    if kind is float or kind is int:
        return iso(value) if is_time(key) else value
    if dataclasses.is_dataclass(kind) and not isinstance(value, type):
        return {name: plain(getattr(value, name), name) for name in _names(kind)}
    if isinstance(value, Mapping):
        return {str(name): plain(item, str(name)) for name, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@cache
def _names(view: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(view))
