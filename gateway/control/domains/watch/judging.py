"""From what authority and resolver said of a record to what is known of it from now on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.control.domains.diagnosis import diagnose
from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.values import RecordMemory
from gateway.system.observation import Observation, Question

_AWAY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was said of one record in one look; None: not asked. `beside`: what else was asked about it."""

    authority: Observation | None = None
    resolver: Observation | None = None
    beside: Sequence[Observation] = ()


def judge(
    record: RecordView, before: RecordMemory, seen: Sighting, now: float, *, waits: bool = False
) -> RecordMemory:
    """What is known of a record after a look at `now` (seconds since 1970).

    What nobody needs is not lost: its time begins when it is needed. `waits`: it is that of a key whose turn
    has not come, so that nothing fails without it; a loss is told of then, and does not count.
    """
    after = _judged(record, before, seen, now)
    if after.state == "valid":
        return replace(after, was_valid=True, lost_at=None, counts_at=None)
    known = replace(after, was_valid=before.was_valid)
    lost_at, counts_at = before.lost_at, before.counts_at
    if after.state in ("missing", "invalid") and before.was_valid:
        lost_at, counts_at = lost_at or now, counts_at or now
    return replace(
        known,
        lost_at=lost_at if record.required else None,
        counts_at=counts_at if record.required and not waits else None,
    )


def _judged(record: RecordView, before: RecordMemory, seen: Sighting, now: float) -> RecordMemory:
    authority = seen.authority
    if authority is None:
        return _by_resolver(record, before, seen.resolver, now)
    if authority.outcome == "away" or authority.is_unfollowed:
        return _without_authority(record, before, seen, authority)
    view = diagnose(record, authority)
    if view.state != "valid":
        return _wrong(record, before, authority, seen)
    known = RecordMemory("valid", before.propagation, view.found, view.hint)
    if seen.resolver is None:
        return known if known.propagation == "everywhere" else replace(known, propagation="authority")
    return _by_resolver(record, replace(known, propagation="authority"), seen.resolver, now)


def _by_resolver(
    record: RecordView, known: RecordMemory, resolver: Observation | None, now: float
) -> RecordMemory:
    """What the authority is known to have right, as the resolver shows it."""
    if resolver is None or known.state != "valid":
        return known
    view = diagnose(record, resolver)
    if view.state == "valid":
        return replace(known, propagation="everywhere", found=view.found, hint=view.hint, again_at=0.0)
    if view.state == "unreachable":
        words = f"The zone's servers have it, but {resolver.reason or 'the resolver gave no answer'}."
        return replace(known, propagation="authority", hint=words, again_at=now + _AWAY_SECONDS)
    words = (
        "The zone's servers have it. The resolver keeps an older answer "
        f"for {max(1, round(resolver.seconds))} s more: nothing is to be done."
    )
    return replace(known, propagation="authority", hint=words, again_at=now + resolver.seconds)


def _without_authority(
    record: RecordView, before: RecordMemory, seen: Sighting, authority: Observation
) -> RecordMemory:
    """Its servers are away, or it is an alias that leads to other servers: the resolver's word counts.

    An absence does not, where there was something before: nothing is lost by servers that are away.
    """
    if seen.resolver is not None and seen.resolver.outcome != "away":
        view = diagnose(record, seen.resolver)
        if view.state == "valid":
            return RecordMemory("valid", "everywhere", view.found, view.hint)
        if authority.is_unfollowed or not before.was_valid:
            return _wrong(record, before, seen.resolver, seen)
    why = seen.resolver if authority.is_unfollowed and seen.resolver is not None else authority
    if why.outcome != "away":
        return before
    return RecordMemory("unreachable", before.propagation, (), diagnose(record, why).hint)


def _wrong(record: RecordView, before: RecordMemory, observed: Observation, seen: Sighting) -> RecordMemory:
    """One that is not as it should be. What another question told holds until that says otherwise."""
    view = diagnose(record, observed, seen.beside)
    known = RecordMemory(view.state, "unknown", view.found, view.hint)
    plain = diagnose(record, observed).hint
    for other in seen.beside:
        if diagnose(record, observed, (other,)).hint != plain:
            return replace(known, told_by=spelled(other))
    same = (before.state, before.found) == (known.state, known.found)
    if same and before.told_by and before.told_by not in map(spelled, seen.beside):
        return replace(known, hint=before.hint, told_by=before.told_by)
    return known


def spelled(asked: Observation | Question) -> str:
    """A question as a memory names it."""
    return f"{asked.type} {asked.name}"
