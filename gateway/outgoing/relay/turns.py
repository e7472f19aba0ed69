"""Whose turn it is: weighted fair turns among members that come and go (stride scheduling)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator


class Member:
    """One who takes turns. `served_until` is its place on the common scale: the lowest is next."""

    __slots__ = ("name", "present", "queued", "served_until", "weight")

    def __init__(self, name: str) -> None:
        self.name = name
        self.weight = 1
        self.served_until = 0.0
        self.present = False
        self.queued = False


class Turns:
    """Gives each present member turns in proportion to its weight.

    Absence earns nothing and costs nothing: who comes back is neither ahead of those who stayed
    nor pays for turns it had before. All operations take logarithmic time.
    """

    __slots__ = ("_heap", "_serial", "reached")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Member]] = []
        self._serial = 0
        self.reached = 0.0

    def enter(self, member: Member) -> None:
        """`member` wants turns."""
        if member.present:
            return
        member.present = True
        member.served_until = max(member.served_until, self.reached)
        if not member.queued:
            member.queued = True
            heapq.heappush(self._heap, self._entry(member))

    def leave(self, member: Member) -> None:
        """`member` wants none for now."""
        member.present = False

    def first(self) -> Member | None:
        """Whose turn it is."""
        while self._heap:
            place, _, member = self._heap[0]
            if not member.present:
                heapq.heappop(self._heap)
                member.queued = False
            elif place != member.served_until:
                heapq.heapreplace(self._heap, self._entry(member))
            else:
                return member
        return None

    def in_order(self) -> Iterator[Member]:
        """Everyone present, the next first. The order must not be changed meanwhile but by `served`."""
        passed: list[Member] = []
        try:
            while (member := self.first()) is not None:
                heapq.heappop(self._heap)
                member.queued = False
                passed.append(member)
                yield member
        finally:
            for member in passed:
                if not member.queued and member.present:
                    member.queued = True
                    heapq.heappush(self._heap, self._entry(member))

    def served(self, member: Member) -> None:
        """`member` has had a turn."""
        self.reached = max(self.reached, member.served_until)
        member.served_until += 1 / member.weight

    def _entry(self, member: Member) -> tuple[float, int, Member]:
        self._serial += 1
        return member.served_until, self._serial, member
