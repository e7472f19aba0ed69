"""One look at a domain: the questions that are asked, and no more of them than allowed.

A poll asks one question a record: the zone's servers until they have it right, then the resolver until it
has it too. So the resolver never learns too early that a name is not there. What is left of the budget goes
to the questions that tell what went wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from gateway.control.domains.diagnosis import diagnose, questions_beside
from gateway.control.domains.diagnosis.spf import spf_leads, spf_remark
from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.judging import Sighting, judge, spelled
from gateway.control.domains.watch.schedule import is_late
from gateway.control.domains.watch.values import Look, Memory, RecordMemory, Subject, record_key
from gateway.control.errors import Unavailable
from gateway.system.authority import Budget, BudgetSpent, Busy
from gateway.system.clock import Clock
from gateway.system.observation import Observation, Question

POLL_EXTRA = 2
"""What a poll may ask beyond one question a record."""

_THOROUGH_EACH = 6
_THOROUGH_EXTRA = 20
_MOST_BESIDE = 5
_MOST_INCLUDES = 12
_LONGEST_LOOK_SECONDS = 20.0


class Asking(Protocol):
    """See gateway.system.authority.Authorities."""

    async def ask(self, question: Question, near: str, budget: Budget) -> Observation:
        """What the authority says. Raises Busy, BudgetSpent."""
        ...

    async def ask_resolver(self, question: Question, budget: Budget) -> Observation:
        """What the resolver says. Raises BudgetSpent."""
        ...


@dataclass(slots=True)
class _Task:
    """One record in a look."""

    record: RecordView
    near: str
    before: RecordMemory
    seen: Sighting = field(default_factory=Sighting)


class Looker:
    """Looks at domains, in one event loop."""

    def __init__(
        self, asking: Asking, clock: Clock, *, longest_seconds: float = _LONGEST_LOOK_SECONDS
    ) -> None:
        """`longest_seconds`: how long somebody waits for a look."""
        self._asking = asking
        self._clock = clock
        self._longest = longest_seconds

    async def poll(self, subject: Subject, memory: Memory) -> Look:
        """A look of the watch: at most two questions more than there are records."""
        theirs = [one for one in subject.records if one.publisher == "customer" or _waits(one, memory)]
        budget = Budget(len(theirs) + POLL_EXTRA)
        return await self._look(subject, theirs, memory, budget, thorough=False)

    async def examine(self, subject: Subject, memory: Memory) -> Look:
        """A look for somebody who waits: authority and resolver are asked, and whatever may explain more.

        Raises Unavailable where DNS takes too long.
        """
        budget = Budget(_THOROUGH_EACH * len(subject.records) + _THOROUGH_EXTRA)
        try:
            async with asyncio.timeout(self._longest):
                return await self._look(subject, subject.records, memory, budget, thorough=True)
        except TimeoutError:
            raise too_slow(subject, self._longest) from None

    async def _look(
        self,
        subject: Subject,
        records: Sequence[RecordView],
        memory: Memory,
        budget: Budget,
        *,
        thorough: bool,
    ) -> Look:
        tasks = [_Task(one, _near(one, subject), memory.of(one) or RecordMemory()) for one in records]
        # The one whose turn it is comes first: what the budget does not reach is another one each time.
        turn = memory.looks % max(1, len(tasks))
        in_turn = tasks[turn:] + tasks[:turn]
        busy = await _at_once(self._ask(task, budget, thorough) for task in in_turn)
        await self._ask_more(tasks, subject, memory, budget, thorough)
        remarks = await self._remarks(subject, memory, budget, thorough) if not busy else memory.remarks
        now = self._clock.now()
        expected = map(record_key, subject.records)
        known = {key: memory.records[key] for key in expected if key in memory.records}
        known |= {record_key(task.record): _judged(task, subject, now) for task in tasks}
        return Look(subject, known, now, remarks, budget.spent, busy)

    async def _ask(self, task: _Task, budget: Budget, thorough: bool) -> None:
        """The question of one record."""
        question = Question(task.record.name.lower(), task.record.type)
        now = self._clock.now()
        waits = is_late(task.before) and not thorough
        if waits and task.before.again_at > now:
            return
        if waits:
            resolver = await self._asking.ask_resolver(question, budget)
            task.seen = replace(task.seen, resolver=resolver)
        else:
            authority = await self._asking.ask(question, task.near, budget)
            task.seen = replace(task.seen, authority=authority)

    async def _ask_more(
        self, tasks: Sequence[_Task], subject: Subject, memory: Memory, budget: Budget, thorough: bool
    ) -> None:
        """With what is left: who else has to say something, then what may explain."""
        turn = memory.looks % max(1, len(tasks))
        in_turn = [*tasks[turn:], *tasks[:turn]]
        # Each has had its turn before another question has its.
        rounds = memory.looks // max(1, len(tasks))
        most = _MOST_BESIDE if thorough else 1
        await _at_once(self._ask_other(task, budget, thorough) for task in in_turn)
        await _at_once(self._ask_beside(task, subject, budget, most, rounds) for task in in_turn)

    async def _ask_other(self, task: _Task, budget: Budget, thorough: bool) -> None:
        """The one of authority and resolver that was not asked yet, where that is needed."""
        question = Question(task.record.name.lower(), task.record.type)
        if _needs_resolver(task, thorough):
            resolver = await self._asking.ask_resolver(question, budget)
            task.seen = replace(task.seen, resolver=resolver)
        elif _needs_authority(task):
            authority = await self._asking.ask(question, task.near, budget)
            task.seen = replace(task.seen, authority=authority)

    async def _ask_beside(
        self, task: _Task, subject: Subject, budget: Budget, most: int, rounds: int
    ) -> None:
        """What may tell more of a record that is not as it should be: another question in each look."""
        if task.record.publisher != "customer":
            return
        seen = _first_usable(task.seen)
        if seen is None or diagnose(task.record, seen).state == "valid":
            return
        questions = questions_beside(task.record, seen, subject.name)
        for question in _in_turn(questions, task.before.told_by, rounds)[:most]:
            inside = question.name == seen.zone or question.name.endswith(f".{seen.zone}")
            asked = self._asking.ask(question, subject.name, budget) if inside else None
            found = await (asked or self._asking.ask_resolver(question, budget))
            task.seen = replace(task.seen, beside=(*task.seen.beside, found))

    async def _remarks(
        self, subject: Subject, memory: Memory, budget: Budget, thorough: bool
    ) -> tuple[str, ...]:
        """What is wrong with the customer's own SPF: told of, as receivers count it against the domain."""
        if not thorough:
            return memory.remarks
        included: dict[str, Sequence[str]] = {}
        try:
            own = await self._asking.ask_resolver(Question(subject.name, "TXT"), budget)
            names = list(spf_leads(own.answers))
            for name in names:
                if len(included) < _MOST_INCLUDES and name not in included:
                    found = await self._asking.ask_resolver(Question(name, "TXT"), budget)
                    included[name] = found.answers
                    names += spf_leads(found.answers)
        except BudgetSpent:
            return memory.remarks
        if own.outcome == "away":
            return memory.remarks
        remark = spf_remark(subject.name, own.answers, included)
        return (remark,) if remark is not None else ()


async def _at_once(asking: Iterable[Coroutine[Any, Any, None]]) -> float:
    """Ask, begun in this order, as far as the budget reaches; how long (seconds) servers are busy."""
    results = await asyncio.gather(*asking, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, (Busy, BudgetSpent)):
            raise result
    return max((result.seconds for result in results if isinstance(result, Busy)), default=0.0)


def too_slow(subject: Subject, seconds: float) -> Unavailable:
    """What somebody is told who has waited long enough."""
    return Unavailable(
        "dns-too-slow",
        f"DNS did not tell enough of {subject.name} within {seconds:.0f} s; nothing was changed.",
        "Try again in a minute. If it stays so, see whether the name servers in [dns] servers answer, "
        "and those of the domain.",
    )


def _judged(task: _Task, subject: Subject, now: float) -> RecordMemory:
    waits = task.record.name in subject.waiting_keys
    return judge(task.record, task.before, task.seen, now, waits=waits)


def _waits(record: RecordView, memory: Memory) -> bool:
    """Whether a record of the platform's own is that of a key which must be seen before it signs."""
    known = memory.of(record)
    is_key = record.purpose == "dkim" and record.required and record.publisher == "platform"
    return is_key and (known is None or known.propagation != "everywhere")


def _in_turn(questions: Sequence[Question], told_by: str | None, rounds: int) -> list[Question]:
    """Another one first in each round, but before all the one that told something the last time."""
    turn = rounds % max(1, len(questions))
    return sorted((*questions[turn:], *questions[:turn]), key=lambda one: spelled(one) != told_by)


def _near(record: RecordView, subject: Subject) -> str:
    """The domain in whose zone a record stands."""
    return subject.name if record.publisher == "customer" else subject.platform


def _first_usable(seen: Sighting) -> Observation | None:
    """Who is to be believed where the record is not as it should be."""
    for one in (seen.authority, seen.resolver):
        if one is not None and one.outcome != "away" and not one.is_unfollowed:
            return one
    return None


def _needs_resolver(task: _Task, thorough: bool) -> bool:
    """Where the authority is right, or has nothing to say. That nothing is there is not spread."""
    authority = task.seen.authority
    if authority is None or task.seen.resolver is not None:
        return False
    if authority.outcome == "away" or authority.is_unfollowed:
        return True
    is_new = thorough or task.before.propagation != "everywhere"
    return is_new and diagnose(task.record, authority).state == "valid"


def _needs_authority(task: _Task) -> bool:
    """Where the resolver's time is over and it still shows something else: perhaps it is gone again."""
    resolver = task.seen.resolver
    if resolver is None or task.seen.authority is not None:
        return False
    is_over = task.before.again_at > 0 or resolver.outcome == "away"
    return is_over and diagnose(task.record, resolver).state != "valid"
