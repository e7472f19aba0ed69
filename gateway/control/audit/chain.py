"""Following a chain from its beginning to its head: the first thing that is wrong is named."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy.orm import Session

from gateway.control.audit.entries import CONTROL, both
from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.transaction import chain_hash, payload_hash

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number and hash of its last entry; 0 and "" of an empty one."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """`whole`: all `entries` are as they were written, in order, none missing. `number`: where it broke."""

    whole: bool
    entries: int
    problem: str | None = None
    number: int | None = None
    database: str = CONTROL


def follow(session: Session, key: bytes, head: Head, database: str = CONTROL) -> AuditVerdict:
    """Check every entry of one database against the one before it, its payload and the head."""
    previous, count = "", 0
    statement = both().order_by(AuditEntryRow.number).execution_options(yield_per=_PAGE)
    with session.execute(statement) as entries:
        for entry, payload in entries:
            count += 1
            problem = _problem(key, entry, payload, previous, count)
            if problem is not None:
                return AuditVerdict(False, count - 1, problem, count, database)
            previous = entry.chain_hash
    if count != head.number or not hmac.compare_digest(previous, head.hash):
        problem = f"the chain ends at entry {count}, the head says {head.number}"
        return AuditVerdict(False, count, problem, count + 1, database)
    return AuditVerdict(True, count, database=database)


def _problem(
    key: bytes, entry: AuditEntryRow, payload: AuditPayloadRow | None, previous: str, number: int
) -> str | None:
    if entry.number != number:
        return f"entry {number} is missing"
    if entry.previous_hash != previous:
        return f"entry {number} does not follow the one before it"
    if not hmac.compare_digest(chain_hash(key, entry), entry.chain_hash):
        return f"entry {number} was changed"
    # A payload that was lawfully erased is gone as a row; the entry and its hash stay.
    if payload is not None and payload_hash(payload.before, payload.after) != entry.payload_hash:
        return f"the payload of entry {number} was changed"
    return None
