"""The control database's events: its audit entries are its outbox.

They are written in the transaction that caused them and numbered without gaps in the order of the commits
(the head row is locked by every control transaction), which is all that a sequencer would do.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.events.operations import Payload, event_type
from gateway.control.events.source import Position, SourcePage, Wanted
from gateway.control.events.types import Event
from gateway.system.database import Database

_WINDOW = 500
_ENTRY = AuditEntryRow


class AuditedEvents:
    """Changes of the control plane as events."""

    name = "control"

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, after: Position, limit: int, wanted: Wanted) -> SourcePage:
        """See EventSource."""
        with self._database.read() as connection:
            rows = connection.execute(_window(after[0])).all()
            # A position after the end is of a database that a backup has replaced since.
            end = after if rows else min(after, _end(connection))
        found: list[tuple[Position, Event]] = []
        for row in rows:
            event = _event(row)
            if event is not None and wanted.admits(event):
                found.append(((row.number,), event))
                if len(found) == limit:
                    break
        full = len(found) == limit
        reached = found[-1][0] if full else (rows[-1].number,) if rows else end
        return SourcePage(tuple(found), reached, full or len(rows) == _WINDOW)

    def head(self) -> Position:
        """See EventSource."""
        with self._database.read() as connection:
            return _end(connection)

    def oldest(self, since: float) -> Position:
        """See EventSource."""
        low, high = 1, self.head()[0] + 1
        with self._database.read() as connection:
            # Entries have no gaps and are in the order of their times: halving finds the first from then on.
            while low < high:
                middle = (low + high) // 2
                at = connection.scalar(sa.select(_ENTRY.at).where(_ENTRY.number == middle))
                if at is None or at < since:
                    low = middle + 1
                else:
                    high = middle
        return (low - 1,)


def _end(connection: Connection) -> Position:
    return (connection.scalar(sa.select(sa.func.max(_ENTRY.number))) or 0,)


def _window(after: int) -> sa.Select[Any]:
    return (
        sa.select(_ENTRY.__table__, AuditPayloadRow.before, AuditPayloadRow.after)
        .join(AuditPayloadRow, AuditPayloadRow.number == _ENTRY.number, isouter=True)
        .where(_ENTRY.number > after)
        .order_by(_ENTRY.number)
        .limit(_WINDOW)
    )


def _event(row: Any) -> Event | None:
    before, after = _parsed(row.before), _parsed(row.after)
    name = event_type(row.operation, row.resource_kind, before, after)
    if name is None:
        return None
    shown = after if after is not None else before or {}
    kind = "account" if row.resource_kind == "credential" else row.resource_kind
    account_id = row.resource_id if row.resource_kind == "account" else shown.get("account_id")
    return Event(
        id=row.id,
        type=name,
        time=row.at,
        subject=f"{kind}/{account_id if kind == 'account' else row.resource_id}",
        tenant_id=row.tenant_id,
        workspace_id=shown.get("workspace_id"),
        account_id=account_id,
        environment=shown.get("environment"),
        data={
            "operation": row.operation,
            "client_id": shown.get("client_id"),
            "metadata": shown.get("metadata") or {},
            "before": before,
            "after": after,
        },
    )


def _parsed(text: str | None) -> Payload | None:
    parsed: Payload | None = json.loads(text) if text is not None else None
    return parsed
