"""The seam to whatever takes records: a name server, a command, or a person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from gateway.control.domains.publishing.values import Change, Outcome, RecordKey, Values

Seen = Mapping[RecordKey, Values | None]
"""What stands at names and types, None for nothing. What could not be looked at is left out."""

Keep = Callable[[RecordKey], bool]
"""Which of the records of a zone are of any interest."""


class ChannelAway(Exception):
    """Whoever takes changes cannot be reached or refuses all of them; the text says why. Try again later."""


class Channel(Protocol):
    """Takes changes, and shows what stands in DNS. Every method blocks."""

    @property
    def is_automatic(self) -> bool:
        """Whether it makes changes itself."""
        ...

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make these changes as far as that can be done; what became of each."""
        ...

    def look(self, keys: Collection[RecordKey]) -> Seen:
        """What stands at these names and types now."""
        ...

    def everything(self, keep: Keep) -> Seen | None:
        """All there is in the zones of TYPES, as far as `keep` says so; None where nobody lists that.

        Raises ChannelAway.
        """
        ...
