"""When a domain is looked at next, and why then. Pure.

Where the zone's servers have a record and the resolver still gives an older answer, nothing can change
before that answer's time is over: the next look is then. What is not there at all may come at any moment:
that is looked for after a minute, and after twice as long each time, up to an hour. What is as it should be
is looked at every hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.values import RecordMemory

_JITTER = 0.1
_SOONEST_SECONDS = 1.0
_LISTED = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """The time of the next look (seconds since 1970; None: there is none), and what is waited for."""

    at: float | None
    reason: str | None


def next_look(
    state: str,
    pairs: Iterable[tuple[RecordView, RecordMemory]],
    *,
    looks: int,
    now: float,
    timing: Timing,
    random: Callable[[], float],
) -> Plan:
    """After a look at `now`. `looks`: how many in a row have shown nothing new; `random`: from 0 to 1."""
    if state == "expired":
        return Plan(None, "The claim has expired; `gatepost domain verify` looks once more.")
    known = [pair for pair in pairs if pair[0].required and pair[0].publisher == "customer"]
    absent = [record for record, memory in known if memory.state != "valid"]
    late = [memory.again_at for _, memory in known if is_late(memory)]
    if not absent and not late:
        return Plan(now + timing.longest * _stretched(random), None)
    times = [now + backoff(looks, timing) * _stretched(random)] if absent else []
    # Asked again when the oldest of the answers may be another one.
    times += [max(min(late), now + _SOONEST_SECONDS)] if late else []
    return Plan(min(times), _reason(absent, [record for record, memory in known if is_late(memory)]))


def backoff(looks: int, timing: Timing) -> float:
    """Seconds to the next look after `looks` that showed nothing new."""
    return float(min(timing.first * 2.0 ** min(looks, 40), timing.longest))


def is_late(memory: RecordMemory) -> bool:
    """Whether the zone's servers have it, and the resolver is waited for."""
    return memory.state == "valid" and memory.propagation == "authority"


def _stretched(random: Callable[[], float]) -> float:
    # Only longer: never sooner than it can have changed.
    return 1.0 + _JITTER * random()


def _reason(absent: list[RecordView], late: list[RecordView]) -> str:
    if absent:
        names = ", ".join(f"{record.type} {record.name}" for record in absent[:_LISTED])
        more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
        return f"Not as it should be yet: {names}{more}."
    names = ", ".join(f"{record.type} {record.name}" for record in late[:_LISTED])
    return f"The zone's servers have it, resolvers still have an older answer: {names}."
