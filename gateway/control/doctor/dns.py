"""What the checks ask of DNS."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from gateway.control.domains.publishing.values import RecordKey, Values


class Look(Protocol):
    """The resolver, as `publishing.resolving.ResolverLook`: blocking, and bounded in time."""

    def __call__(self, keys: Collection[RecordKey]) -> dict[RecordKey, Values | None]:
        """What stands at these names and types; None: nothing; what nobody answered is left out."""
        ...


class Unanswered(OSError):
    """The resolver gave no answer, which says nothing about what DNS has."""

    def __init__(self, key: RecordKey) -> None:
        super().__init__(f"no answer for {key.name} {key.type}")


@dataclass(frozen=True, slots=True)
class Dns:
    """Single questions over a Look."""

    look: Look

    def __call__(self, name: str, kind: str) -> Values:
        """The values at a name; empty if there are none. Raises Unanswered."""
        key = RecordKey(name, kind)
        found = self.look([key])
        if key not in found:
            raise Unanswered(key)
        return found[key] or ()

    def many(self, keys: Collection[RecordKey]) -> dict[RecordKey, Values | None]:
        """As Look."""
        return self.look(keys)
