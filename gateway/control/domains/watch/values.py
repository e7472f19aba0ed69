"""What is looked at, what was seen, and what is remembered of it between looks. Frozen values, no rules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gateway.control.domains.view import Propagation, RecordState, RecordView

_NOTHING: Mapping[str, RecordMemory] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RecordMemory:
    """What is known of one record. `was_valid`: it has been right; `lost_at`: since when it is not any more,
    though it is required. `counts_at`: since when that counts against the domain.

    `again_at`: until then the resolver has an answer in its cache that it will give again. `told_by`: the
    question beside the record's own whose answer explained what is wrong.
    """

    state: RecordState = "unchecked"
    propagation: Propagation = "unknown"
    found: tuple[str, ...] = ()
    hint: str | None = None
    was_valid: bool = False
    lost_at: float | None = None
    counts_at: float | None = None
    again_at: float = 0.0
    told_by: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of one domain, by `record_key`. Times are seconds since 1970.

    `looks`: how many have shown nothing new since something was. `proved_at`: when the proof of ownership
    was last seen. `remarks`: what is wrong beside the records asked for. `reason`: what it waits for.
    """

    domain_id: str
    tenant_id: str
    records: Mapping[str, RecordMemory] = field(default_factory=lambda: _NOTHING)
    looks: int = 0
    looked_at: float | None = None
    next_look_at: float | None = None
    proved_at: float | None = None
    remarks: tuple[str, ...] = ()
    reason: str | None = None

    def of(self, record: RecordView) -> RecordMemory | None:
        """What is known of a record; None before the first look."""
        return self.records.get(record_key(record))


@dataclass(frozen=True, slots=True)
class Subject:
    """A domain to look at: what it is expected to have, and as it stands in the control database.

    `unseen_keys`: the names of records of keys that DNS has not shown yet. `waiting_keys`: those of keys that
    wait for their turn while another one signs. `platform`: the platform's host name, in whose zone its own
    records stand. `state` is "" for one that is not the customer's to prove; `state_at`: since when it is
    in that state.
    """

    domain_id: str
    tenant_id: str
    name: str
    state: str
    created_at: float
    records: tuple[RecordView, ...]
    unseen_keys: frozenset[str] = frozenset()
    waiting_keys: frozenset[str] = frozenset()
    state_at: float = 0.0
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look showed: memory of each record that is expected now, and how many questions it took.

    `busy_seconds`: for so long the domain's name servers have enough to do with earlier questions.
    """

    subject: Subject
    records: Mapping[str, RecordMemory]
    at: float
    remarks: tuple[str, ...] = ()
    questions: int = 0
    busy_seconds: float = 0.0

    def views(self) -> tuple[RecordView, ...]:
        """The expected records with what is known of them."""
        return shown(self.subject.records, self.records)


@dataclass(frozen=True, slots=True)
class Drift:
    """One change in what was observed: of a record, or (`type` and `purpose` None) of the domain's state."""

    at: float
    name: str
    type: str | None
    purpose: str | None
    before: str
    after: str
    found: tuple[str, ...] = ()
    hint: str | None = None


def record_key(record: RecordView) -> str:
    """What a record is remembered by: another value is another record."""
    digest = hashlib.blake2b(record.value.encode(), digest_size=6).hexdigest()
    return f"{record.purpose} {record.type} {record.name} {digest}"


def shown(records: tuple[RecordView, ...], known: Mapping[str, RecordMemory]) -> tuple[RecordView, ...]:
    """Records with what is known of them."""
    return tuple(_shown(record, known.get(record_key(record))) for record in records)


def _shown(record: RecordView, known: RecordMemory | None) -> RecordView:
    if known is None:
        return record
    return replace(
        record, state=known.state, found=known.found, hint=known.hint, propagation=known.propagation
    )
