"""A delivery on its way, and how an attempt of it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

GONE = 410
"""A receiver's word that it wants no more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to be sent to one webhook; `attempts` were made before."""

    id: int
    webhook_id: str
    event_id: str
    body: str = field(repr=False)
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended: with a status, or without an answer and why. `at`: seconds since 1970."""

    delivery: Delivery
    at: float
    seconds: float
    status: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has it. A redirect is not followed, so it is a failure."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing more, ever."""
        return self.status == GONE
