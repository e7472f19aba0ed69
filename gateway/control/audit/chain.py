"""Following a chain from its beginning to its head: the first thing that is wrong is named."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from gateway.control.audit.entries import both
from gateway.control.audit.head import CONTROL, Head
from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.transaction import chain_hash, payload_hash

ERASE = "audit.erase"
"""The operation of an entry that names another one, whose payload was erased."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """`whole`: all `entries` are as they were written, in order, none missing. `number`: where it broke."""

    whole: bool
    entries: int
    problem: str | None = None
    number: int | None = None
    database: str = CONTROL


def follow(
    session: Session, key: bytes, head: Head, database: str = CONTROL, logged: Iterable[Head] = ()
) -> AuditVerdict:
    """Check every entry of one database against the one before it, its payload and the head.

    `logged`: heads that the chain had once, as they were kept elsewhere. Only they show that database and
    head together were put back to what they were earlier.
    """
    known = {(one.number, one.hash) for one in logged}
    numbers = {number for number, _ in known}
    previous, count = "", 0
    missing: dict[str, int] = {}
    statement = both().order_by(AuditEntryRow.number).execution_options(yield_per=_PAGE)
    with session.execute(statement) as entries:
        for entry, payload in entries:
            count += 1
            problem = _problem(key, entry, payload, previous, count)
            if problem is not None:
                return AuditVerdict(False, count - 1, problem, count, database)
            previous = entry.chain_hash
            _note_missing(missing, entry, payload)
            if count in numbers and (count, previous) not in known:
                problem = f"entry {count} is another one than the head that was logged"
                return AuditVerdict(False, count - 1, problem, count, database)
    if missing:
        number = min(missing.values())
        problem = f"the payload of entry {number} is missing, and no later entry tells that it was erased"
        return AuditVerdict(False, number - 1, problem, number, database)
    problem = _end_problem(key, head, count, previous, max(numbers, default=0))
    if problem is not None:
        return AuditVerdict(False, count, problem, count + 1, database)
    return AuditVerdict(True, count, database=database)


def _end_problem(key: bytes, head: Head, count: int, last: str, logged: int) -> str | None:
    """What is wrong with the end of a chain of `count` entries; `logged`: the last that was known once."""
    if count != head.number or not hmac.compare_digest(last, head.hash):
        return f"the chain ends at entry {count}, the head says {head.number}"
    if not head.is_sealed(key):
        return f"the head at entry {count} has no true seal: what came after it may have been cut off"
    if logged > count:
        return f"the chain ends at entry {count}, and entry {logged} was logged as its head"
    return None


def _note_missing(missing: dict[str, int], entry: AuditEntryRow, payload: AuditPayloadRow | None) -> None:
    """Keep the numbers of entries without a payload, by id, until an erasure names them."""
    if payload is None:
        missing[entry.id] = entry.number
    if entry.operation == ERASE:
        missing.pop(entry.resource_id, None)


def _problem(
    key: bytes, entry: AuditEntryRow, payload: AuditPayloadRow | None, previous: str, number: int
) -> str | None:
    if entry.number != number:
        return f"entry {number} is missing"
    if entry.previous_hash != previous:
        return f"entry {number} does not follow the one before it"
    if not hmac.compare_digest(chain_hash(key, entry), entry.chain_hash):
        return f"entry {number} was changed"
    if payload is not None and payload_hash(payload.before, payload.after) != entry.payload_hash:
        return f"the payload of entry {number} was changed"
    return None
