"""UTC calendar windows: what a counter counts in. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

Window = Literal["minute", "hour", "day", "month"]

_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}


def window_start(window: Window, at: float) -> int:
    """When the window that contains `at` began; seconds since 1970 (UTC)."""
    seconds = _SECONDS.get(window)
    if seconds is not None:
        return int(at) // seconds * seconds
    moment = datetime.fromtimestamp(at, UTC)
    return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp())


def next_window(window: Window, at: float) -> int:
    """When the window after the one that contains `at` begins; seconds since 1970 (UTC)."""
    seconds = _SECONDS.get(window)
    if seconds is not None:
        return (int(at) // seconds + 1) * seconds
    moment = datetime.fromtimestamp(at, UTC)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


def spelled(at: float) -> str:
    """A moment as replies name it: `2026-11-23T00:00:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
