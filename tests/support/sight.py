"""Looks at domains that ask a dictionary instead of DNS: rules under test, no packets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.control.domains.watch.looking import Looker
from gateway.control.domains.watch.sight import DomainSight, MemoryBook
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.store import Book
from gateway.control.domains.watch.values import Look, Memory, Subject
from gateway.system.authority import Budget
from gateway.system.clock import Clock, ManualClock
from gateway.system.dns import DnsAway, NoSuchName
from gateway.system.observation import Observation, Question

TxtLookup = Callable[[str], Sequence[str]]
"""The TXT records of a name; raises NoSuchName, DnsAway."""


class Words:
    """Answers that tests choose, by (name, type); what is not there does not exist.

    `authority` and `resolver` hold values each; a value that is an Observation is answered as it is. Names
    in `away` are those whose servers do not answer.
    """

    def __init__(self) -> None:
        self.authority: dict[tuple[str, str], Sequence[str] | Observation] = {}
        self.resolver: dict[tuple[str, str], Sequence[str] | Observation] = {}
        self.away: set[str] = set()
        self.asked: list[tuple[str, Question]] = []

    def publish(self, name: str, kind: str, *values: str) -> None:
        """Everybody has this now; without values nobody has."""
        for where in (self.authority, self.resolver):
            where.pop((name, kind), None)
            if values:
                where[name, kind] = values

    async def ask(self, question: Question, near: str, budget: Budget) -> Observation:
        """See Asking."""
        budget.take()
        self.asked.append(("authority", question))
        return replace(self._said(question, self.authority), zone=near, servers=(f"ns1.{near}",))

    async def ask_resolver(self, question: Question, budget: Budget) -> Observation:
        """See Asking."""
        budget.take()
        self.asked.append(("resolver", question))
        return replace(self._said(question, self.resolver), source="resolver")

    def _said(
        self, question: Question, known: dict[tuple[str, str], Sequence[str] | Observation]
    ) -> Observation:
        if question.name in self.away:
            return Observation(*question, "away", reason="timeout")
        found = known.get(tuple(question))
        if isinstance(found, Observation):
            return found
        if found is not None:
            return Observation(*question, "found", tuple(found), seconds=300.0)
        is_there = any(name == question.name for name, _ in known)
        return Observation(*question, "absent" if is_there else "no-such-name", seconds=60.0)


class _Texts(Words):
    """The same from a function that knows TXT records only."""

    def __init__(self, lookup: TxtLookup) -> None:
        super().__init__()
        self._lookup = lookup

    def _said(
        self, question: Question, known: dict[tuple[str, str], Sequence[str] | Observation]
    ) -> Observation:
        try:
            texts = self._lookup(question.name) if question.type == "TXT" else ()
        except NoSuchName:
            return Observation(*question, "no-such-name")
        except DnsAway:
            return Observation(*question, "away", reason="timeout")
        return Observation(*question, "found" if texts else "absent", tuple(texts))


def sight_of(
    words: Words | TxtLookup,
    clock: Clock | None = None,
    book: Book | None = None,
    timing: Timing | None = None,
) -> DomainSight:
    """How services look at domains through `words`."""
    asking = words if isinstance(words, Words) else _Texts(words)
    looker = Looker(asking, clock or ManualClock())

    def examine(subject: Subject, memory: Memory) -> Look:
        return asyncio.run(looker.examine(subject, memory))

    return DomainSight(examine, book or MemoryBook(), timing or Timing(), lambda: 0.0)
