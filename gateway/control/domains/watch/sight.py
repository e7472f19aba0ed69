"""What services need to look at domains: somebody who looks, where it is kept, and how often one may ask."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.store import Book, is_older
from gateway.control.domains.watch.values import Drift, Look, Memory, Subject
from gateway.control.errors import TooMany
from gateway.system.clock import Clock

Examine = Callable[[Subject, Memory], Look]
"""A thorough look at a domain now; blocks for as long as DNS takes."""

_BURST = 6
_GAP_SECONDS = 10.0
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class DomainSight:
    """`random`: from 0 to 1, for the times of next looks."""

    examine: Examine
    book: Book
    timing: Timing
    random: Callable[[], float]


class Turns:
    """How often a caller may have a domain looked at: some times at once, then every ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, domain_id: str, name: str) -> None:
        """Use one turn of a domain. Raises TooMany, which says when there is another."""
        now = self._clock.monotonic()
        full_at = max(now, self._full_at.get(domain_id, now)) + _GAP_SECONDS
        wait = full_at - now - _BURST * _GAP_SECONDS
        if wait > 0:
            seconds = math.ceil(wait)
            raise TooMany(
                "verify-too-soon",
                f"{name} has just been looked at several times.",
                f"It can be looked at again in {seconds} s; it is watched without being asked, too.",
                seconds,
            )
        self._full_at[domain_id] = full_at
        self._full_at.move_to_end(domain_id)
        while len(self._full_at) > _REMEMBERED:
            self._full_at.popitem(last=False)


@dataclass(slots=True)
class MemoryBook:
    """A book that lasts as long as its process: where nothing watches."""

    memories: dict[str, Memory] = field(default_factory=dict)
    changes: dict[str, list[Drift]] = field(default_factory=dict)

    def read(self, domain_id: str, tenant_id: str) -> Memory:
        """See Book."""
        known = self.memories.get(domain_id)
        return known if known is not None and known.tenant_id == tenant_id else Memory(domain_id, tenant_id)

    def save(self, entries: Sequence[tuple[Memory, Sequence[Drift]]]) -> None:
        """See Book."""
        for memory, drifts in entries:
            known = self.memories.get(memory.domain_id)
            if known is not None and is_older(memory, known.looked_at):
                continue
            self.memories[memory.domain_id] = memory
            self.changes.setdefault(memory.domain_id, []).extend(drifts)

    def drifts(self, domain_id: str, tenant_id: str, limit: int) -> tuple[Drift, ...]:
        """See Book."""
        if self.read(domain_id, tenant_id).looked_at is None:
            return ()
        return tuple(reversed(self.changes.get(domain_id, [])))[:limit]
