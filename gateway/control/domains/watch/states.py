"""The states of a custom domain, and when it goes from one to the next. Pure.

    pending → verifying → active → degraded → suspended → expired

A look that had no answer takes nothing from a domain: it neither begins a loss, nor ends a time of grace.
Only a claim that nobody has proved expires in silence too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.values import RecordMemory

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds. Losses are counted from the first look that saw them.

    `claim`: a claim without proof lasts so long. `grace`: then a domain that lost a record is degraded,
    after `suspend` it sends no more, after `release` its name is free for others.
    """

    claim: float = 14 * _DAY
    grace: float = _DAY
    suspend: float = 30 * _DAY
    release: float = 60 * _DAY
    first: float = 60.0
    """From the first look at something new to the second; then twice as long each time, up to `longest`."""
    longest: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a look says of a domain as a whole.

    `proved`: whether the proof of ownership is there; None if nobody could say. `ready`: whether all that
    it needs is there, for everybody to see. `lost_at`: since when the longest lost record that counts
    is gone; None if none is. `is_sure`: whether this very look saw that record missing or wrong.
    """

    proved: bool | None
    ready: bool
    lost_at: float | None = None
    is_sure: bool = False


def next_state(
    state: str, evidence: Evidence, *, state_at: float, waits_since: float, now: float, timing: Timing
) -> str:
    """The state after a look.

    `state_at`: since when it is in `state`; `waits_since`: when the claim was made, or its proof last seen.
    However long nobody could look, a domain that is held spends its time in each state before the next.
    """
    if state in ("pending", "verifying", "expired"):
        return _before_proof(state, evidence, now - waits_since >= timing.claim)
    if evidence.lost_at is None:
        return "active"
    if not evidence.is_sure:
        return state
    following, total, since_entry = {
        "active": ("degraded", timing.grace, 0.0),
        "degraded": ("suspended", timing.suspend, timing.suspend - timing.grace),
        "suspended": ("expired", timing.release, timing.release - timing.suspend),
    }[state]
    is_over = now - evidence.lost_at >= total and now - state_at >= since_entry
    return following if is_over else state


def evidence_of(pairs: Iterable[tuple[RecordView, RecordMemory]]) -> Evidence:
    """From the records of a look and what is known of them."""
    pairs = list(pairs)
    ours = [(record, known) for record, known in pairs if _counts(record)]
    texts = {
        record.name
        for record, known in pairs
        if record.purpose == "dkim" and record.type == "TXT" and _is_everywhere(known)
    }
    proofs = [known for record, known in ours if record.purpose == "ownership"]
    # An alias alone verifies nothing: the text that it leads to must be there too.
    keys = [
        _is_everywhere(known) and (record.type != "CNAME" or record.value in texts)
        for record, known in ours
        if record.purpose == "dkim"
    ]
    rest = [known for record, known in ours if record.purpose == "mx"]
    lost = [known for _, known in ours if known.counts_at is not None]
    longest = min(lost, key=lambda known: known.counts_at or 0.0, default=None)
    return Evidence(
        proved=_proved(proofs),
        ready=all(map(_is_everywhere, (*proofs, *rest))) and (not keys or any(keys)),
        lost_at=longest.counts_at if longest is not None else None,
        is_sure=longest is not None and longest.state in ("missing", "invalid"),
    )


def _before_proof(state: str, evidence: Evidence, is_over: bool) -> str:
    if evidence.proved:
        return "active" if evidence.ready else "verifying"
    # Silence takes no proof away; but a claim cannot be kept by servers that never answer.
    if evidence.proved is None and not is_over:
        return state
    if state == "verifying":
        return "pending"
    return "expired" if is_over else state


def _counts(record: RecordView) -> bool:
    return record.required and record.publisher == "customer"


def _proved(proofs: list[RecordMemory]) -> bool | None:
    states = {known.state for known in proofs}
    if states == {"valid"}:
        return True
    return None if states & {"unreachable", "unchecked"} or not states else False


def _is_everywhere(known: RecordMemory) -> bool:
    return known.state == "valid" and known.propagation == "everywhere"
