"""What a database offers the feed: its events in one order that never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.control.events.types import Event
from gateway.control.records import Actor

Position = tuple[int, ...]
"""Where a reader stands in one source: all up to it, it included, has been looked at."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader may see and asked for. None and an empty `types` mean: any.

    `since`: nothing that happened before; seconds since 1970.
    """

    tenant_id: str | None = None
    workspace_id: str | None = None
    environment: str | None = None
    types: frozenset[str] = frozenset()
    since: float = 0.0

    def admits(self, event: Event) -> bool:
        """Whether this is one of them. What is nobody's is only for those who may see everything."""
        return (
            event.time >= self.since
            and (not self.types or event.type in self.types)
            and self.tenant_id in (None, event.tenant_id)
            and self.workspace_id in (None, event.workspace_id)
            and self.environment in (None, event.environment)
        )


@dataclass(frozen=True, slots=True)
class SourcePage:
    """The next wanted events, each with its position, in order.

    `position`: how far the source was looked through. `more`: it was not to its end.
    """

    events: tuple[tuple[Position, Event], ...]
    position: Position
    more: bool


class EventSource(Protocol):
    """One database's events. Every method raises DatabaseAway."""

    @property
    def name(self) -> str:
        """What cursors call it; it stays the same for the life of the installation."""
        ...

    def read(self, after: Position, limit: int, wanted: Wanted) -> SourcePage:
        """At most `limit` events after a position: none is skipped that will ever be committed."""
        ...

    def head(self) -> Position:
        """The position after everything that is there now."""
        ...

    def oldest(self, since: float) -> Position:
        """A position before every event from `since` on; seconds since 1970."""
        ...


def wanted_by(actor: Actor, types: frozenset[str], since: float) -> Wanted:
    """What this caller may see of what it asked for."""
    return Wanted(actor.tenant_id, actor.workspace_id, actor.environment, types, since)
