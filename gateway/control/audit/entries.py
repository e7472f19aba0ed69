"""Audit entries as they are read: from the control database or a location's, which have the same tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.audit.head import CONTROL
from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.records import Actor

_PAGE = 500

Condition = sa.ColumnElement[bool]
OpenView = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class AuditView:
    """An entry; `name` is its operation. `before`, `after`: None where there is nothing, or it was erased.

    `database`: whose chain it is in, "control" or a location's name. `is_erased`: its payload is gone.
    `number` is for those whose business is the whole installation: it counts what happens to all.
    """

    id: str
    name: str
    number: int | None
    tenant_id: str | None
    at: float
    created_at: float
    actor_kind: str
    actor_id: str
    actor_address: str | None
    operation: str
    resource_kind: str
    resource_id: str
    request_id: str | None
    before: Any
    after: Any
    chain_hash: str
    database: str = CONTROL
    is_erased: bool = False

    @property
    def by(self) -> str:
        """Who did it, in one word: `cli:root`."""
        return f"{self.actor_kind}:{self.actor_id}"


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are wanted; None: any. Times in seconds since 1970, `until` not included.

    `actor` is an id, or kind and id (`cli:root`); `before` a number to page on.
    """

    resource_id: str | None = None
    resource_kind: str | None = None
    tenant_id: str | None = None
    operation: str | None = None
    actor: str | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None

    def conditions(self) -> list[Condition]:
        """The same as conditions on the entries."""
        row = AuditEntryRow
        found = [
            column == value
            for column, value in (
                (row.resource_id, self.resource_id),
                (row.resource_kind, self.resource_kind),
                (row.tenant_id, self.tenant_id),
                (row.operation, self.operation),
            )
            if value is not None
        ]
        if self.actor is not None:
            kind_and_id = row.actor_kind + ":" + row.actor_id
            found.append(sa.or_(row.actor_id == self.actor, kind_and_id == self.actor))
        if self.since is not None:
            found.append(row.at >= self.since)
        if self.until is not None:
            found.append(row.at < self.until)
        if self.before is not None:
            found.append(row.number < self.before)
        return found


def newest(
    session: Session, conditions: Sequence[Condition], limit: int, database: str = CONTROL
) -> tuple[AuditView, ...]:
    """The last entries that meet the conditions, newest first."""
    statement = both().where(*conditions).order_by(AuditEntryRow.number.desc()).limit(limit)
    return tuple(view_of(entry, payload, database) for entry, payload in session.execute(statement))


def oldest_first(
    view: OpenView, conditions: Sequence[Condition], database: str = CONTROL
) -> Iterator[AuditView]:
    """Every entry that meets the conditions, in the order of the chain: a page at a time, each in a
    transaction of its own that `view` opens."""
    number = 0
    while True:
        statement = both().where(*conditions, AuditEntryRow.number > number)
        with view() as session:
            page = session.execute(statement.order_by(AuditEntryRow.number).limit(_PAGE)).all()
            views = [view_of(entry, payload, database) for entry, payload in page]
            number = page[-1][0].number if page else number
        yield from views
        if len(views) < _PAGE:
            return


def both() -> sa.Select[AuditEntryRow, AuditPayloadRow]:
    """Entries with their payloads, as far as those are there."""
    return sa.select(AuditEntryRow, AuditPayloadRow).join(
        AuditPayloadRow, AuditPayloadRow.number == AuditEntryRow.number, isouter=True
    )


def view_of(entry: AuditEntryRow, payload: AuditPayloadRow | None, database: str = CONTROL) -> AuditView:
    """The view of an entry."""
    return AuditView(
        id=entry.id,
        name=entry.operation,
        number=entry.number,
        tenant_id=entry.tenant_id,
        at=entry.at,
        created_at=entry.at,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        actor_address=entry.actor_address,
        operation=entry.operation,
        resource_kind=entry.resource_kind,
        resource_id=entry.resource_id,
        request_id=entry.request_id,
        before=_parsed(payload.before if payload is not None else None),
        after=_parsed(payload.after if payload is not None else None),
        chain_hash=entry.chain_hash,
        database=database,
        is_erased=payload is None,
    )


def for_caller(actor: Actor, view: AuditView) -> AuditView:
    """The entry as this caller may see it."""
    return view if actor.is_operator else replace(view, number=None)


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text is not None else None
