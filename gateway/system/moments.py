"""Moments in seconds since 1970, and the calendar they must lie in to be written out."""

from __future__ import annotations

from datetime import UTC, datetime

FIRST_MOMENT = -62_135_596_800.0
"""0001-01-01T00:00:00Z: RFC 3339 has no earlier one that every reader takes."""
LAST_MOMENT = 253_402_300_799.0
"""9999-12-31T23:59:59Z: a later one has a year of five digits."""


def calendar_time(at: float) -> datetime:
    """A moment as a date and time in UTC; one outside the calendar as the calendar's end.

    A page shows many rows: that one of them holds a time which nobody can write must not take the others.
    """
    return datetime.fromtimestamp(min(max(FIRST_MOMENT, at), LAST_MOMENT), UTC)
