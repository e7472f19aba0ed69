"""What follows from a look: the domain's next state and what comes with it, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import structlog

from gateway.control.accounts.promotion import promote_addresses
from gateway.control.domains.model import DomainRow
from gateway.control.domains.proof import hold
from gateway.control.domains.view import DomainView, RecordView, domain_view
from gateway.control.domains.watch.schedule import next_look
from gateway.control.domains.watch.states import Evidence, Timing, evidence_of, next_state
from gateway.control.domains.watch.values import Drift, Look, Memory, RecordMemory, record_key
from gateway.control.errors import Conflict
from gateway.control.keys.service import KeyService
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.transaction import ControlChange, ControlWrites


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is to be remembered of a look: the memory of the domain, and what was new.

    `domain`: as it stands after a change. `refusal`: why it could not become active.
    """

    memory: Memory
    drifts: tuple[Drift, ...]
    domain: DomainView | None = None
    refusal: Conflict | None = None


@dataclass(frozen=True, slots=True)
class _Findings:
    """What a look means for the control plane. `shown`: the records, if they show a key that is new."""

    evidence: Evidence
    proved_at: float | None
    lost: tuple[RecordView, ...]
    recovered: tuple[RecordView, ...]
    shown: tuple[RecordView, ...]


class Observer:
    """Draws conclusions. Only what changes the control plane is a transaction of it."""

    def __init__(
        self, writes: ControlWrites, keys: KeyService, timing: Timing, random: Callable[[], float]
    ) -> None:
        """`random`: from 0 to 1, for the times of next looks."""
        self._writes = writes
        self._keys = keys
        self._timing = timing
        self._random = random
        self._log = structlog.get_logger("gateway.domains")

    def conclude(self, actor: Actor, look: Look, before: Memory) -> Conclusion:
        """Do what a look asks for; the caller keeps what is to be remembered.

        The domain may be gone or another one since: then nothing is done to it. Raises DatabaseAway.
        """
        found = _findings(look, before)
        domain, refusal = None, None
        if self._matters(look, found):
            try:
                domain = self._change(actor, look, found)
            except Conflict as error:
                refusal = error
                self._log.warning("domain_not_moved", domain=look.subject.name, reason=error.detail)
        state = domain.state if domain is not None else look.subject.state
        drifts = tuple(_drifts(look, before, state))
        return Conclusion(self._memory(look, before, found, state, drifts, refusal), drifts, domain, refusal)

    def _matters(self, look: Look, found: _Findings) -> bool:
        subject = look.subject
        state = self._next(subject.state, subject.state_at, subject.created_at, look.at, found)
        return bool(state != subject.state or found.lost or found.recovered or found.shown)

    def _next(self, state: str, state_at: float, created_at: float, now: float, found: _Findings) -> str:
        if not state:
            return state
        since = max(created_at, found.proved_at or 0.0)
        return next_state(
            state, found.evidence, state_at=state_at, waits_since=since, now=now, timing=self._timing
        )

    def _change(self, actor: Actor, look: Look, found: _Findings) -> DomainView | None:
        with self._writes.change(actor) as change:
            row = change.session.get(DomainRow, look.subject.domain_id)
            if row is None or row.purge_at is not None:
                return None
            if found.shown:
                self._keys.take_seen(change, row, found.shown)
            self._tell_losses(change, row, found)
            state = self._next(
                look.subject.state and row.state, row.in_state_since, row.created_at, look.at, found
            )
            if state and state != row.state:
                self._move(change, row, state)
            return domain_view(row)

    def _move(self, change: ControlChange, row: DomainRow, state: str) -> None:
        before = domain_view(row)
        if before.state in ("pending", "verifying", "expired") and state == "active":
            hold(change, row, by="dns")
        row.enter(state, change.now)
        row.updated_at = change.now
        change.session.flush()
        record(change, "domain.verify", "domain", before, domain_view(row))
        if state == "active":
            promote_addresses(change, row)
        self._log.info("domain_state", domain=row.name, before=before.state, after=state)

    def _tell_losses(self, change: ControlChange, row: DomainRow, found: _Findings) -> None:
        for operation, records in (
            ("domain.record-lost", found.lost),
            ("domain.record-recovered", found.recovered),
        ):
            for one in records:
                view = payload(domain_view(row))
                told = {"name": one.name, "type": one.type, "found": list(one.found), "hint": one.hint}
                change.audit(
                    operation,
                    "domain",
                    row.id,
                    tenant_id=row.tenant_id,
                    before=view,
                    after={**view, "record": {**told, "purpose": one.purpose, "value": one.value}},
                )

    def _memory(
        self,
        look: Look,
        before: Memory,
        found: _Findings,
        state: str,
        drifts: Sequence[Drift],
        refusal: Conflict | None,
    ) -> Memory:
        looks = 0 if drifts else before.looks + 1
        memory = replace(
            before,
            records=look.records,
            looks=looks,
            looked_at=look.at,
            proved_at=found.proved_at,
            remarks=look.remarks,
        )
        if look.busy_seconds:
            words = "Its name servers have enough to do with earlier questions."
            return replace(memory, looks=before.looks, next_look_at=look.at + look.busy_seconds, reason=words)
        plan = next_look(
            state, _pairs(look), looks=looks, now=look.at, timing=self._timing, random=self._random
        )
        return replace(memory, next_look_at=plan.at, reason=refusal.detail if refusal else plan.reason)


def _pairs(look: Look) -> list[tuple[RecordView, RecordMemory]]:
    records = look.records
    return [(one, records[key]) for one in look.subject.records if (key := record_key(one)) in records]


def _findings(look: Look, before: Memory) -> _Findings:
    evidence = evidence_of(_pairs(look))
    lost, recovered = [], []
    for one in look.views():
        key = record_key(one)
        known, known_before = look.records.get(key), before.records.get(key)
        if known is None or known_before is None or not one.required or one.publisher != "customer":
            continue
        if known.lost_at is not None and known_before.lost_at is None:
            lost.append(one)
        if known.lost_at is None and known_before.lost_at is not None:
            recovered.append(one)
    return _Findings(
        evidence,
        look.at if evidence.proved else before.proved_at,
        tuple(lost),
        tuple(recovered),
        _shown(look),
    )


def _shown(look: Look) -> tuple[RecordView, ...]:
    """What everybody sees, if a key is among it that nobody has seen before."""
    visible = tuple(one for one in look.views() if one.state == "valid" and one.propagation == "everywhere")
    texts = {one.name for one in visible if (one.purpose, one.type) == ("dkim", "TXT")}
    aliases = {one.name for one in visible if one.type == "CNAME" and one.value in texts}
    return visible if look.subject.unseen_keys & (texts | aliases) else ()


def _drifts(look: Look, before: Memory, state: str) -> Iterator[Drift]:
    """What was new: in the records, then in the domain's own state."""
    for one in look.views():
        old = before.of(one) or RecordMemory()
        if one.propagation == "unknown" and one.state == "unchecked":
            continue
        if (old.state, old.propagation, old.found) != (one.state, one.propagation, one.found):
            words = (_spelled(old.state, old.propagation), _spelled(one.state, one.propagation))
            yield Drift(look.at, one.name, one.type, one.purpose, *words, one.found, one.hint)
    if look.subject.state and state != look.subject.state:
        yield Drift(look.at, look.subject.name, None, None, look.subject.state, state)


def _spelled(state: str, propagation: str) -> str:
    return "valid at the authority" if (state, propagation) == ("valid", "authority") else state
