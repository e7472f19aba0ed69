"""What tenants use, counted in the transaction that stores or delivers it: for reports and bills.

A row a month, tenant and workspace, and on PostgreSQL a few of them (`slot`), so that the transactions of
several processes do not wait for each other; a reader adds them up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import sqlalchemy as sa

from gateway.outgoing.queue.driver import ManyRows
from gateway.outgoing.queue.values import CHARGED_ORIGINS, OutcomeKind

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.outgoing.queue.values import NewMessage, Outcome

_SLOTS = 64

_COUNT = (
    "INSERT INTO usage_count (month, tenant_id, workspace_id, slot, accepted, recipients, delivered)"
    " VALUES (:month, :tenant_id, :workspace_id, :slot, :accepted, :recipients, :delivered)"
    " ON CONFLICT (month, tenant_id, workspace_id, slot) DO UPDATE SET"
    " accepted = usage_count.accepted + excluded.accepted,"
    " recipients = usage_count.recipients + excluded.recipients,"
    " delivered = usage_count.delivered + excluded.delivered"
)


def month_of(at: float) -> str:
    """The calendar month (UTC) of a moment in seconds since 1970: `2026-11`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


@dataclass(slots=True)
class Used:
    """What one transaction adds: accepted messages, their recipients, delivered recipients."""

    _counts: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def accept(self, message: NewMessage) -> None:
        """A message is stored. The gateway's own mail is nobody's use, as it is nobody's charge."""
        if message.origin in CHARGED_ORIGINS and message.workspace_id is not None:
            count = self._of(message.tenant_id, message.workspace_id)
            count[0] += 1
            count[1] += len(message.recipients)

    def deliver(self, outcomes: Iterable[Outcome]) -> None:
        """Recipients have got their message."""
        for outcome in outcomes:
            if outcome.kind is OutcomeKind.DELIVERED and outcome.used_by is not None:
                self._of(outcome.tenant_id, outcome.used_by)[2] += 1

    def rows(self, now: float, slot: int) -> list[dict[str, Any]]:
        """A row for each tenant and workspace, in the order in which all transactions lock them."""
        month = month_of(now) if self._counts else ""
        return [
            {
                "month": month,
                "tenant_id": tenant_id,
                "workspace_id": workspace_id,
                "slot": slot,
                "accepted": accepted,
                "recipients": recipients,
                "delivered": delivered,
            }
            for (tenant_id, workspace_id), (accepted, recipients, delivered) in sorted(self._counts.items())
        ]

    def _of(self, tenant_id: str, workspace_id: str) -> list[int]:
        return self._counts.setdefault((tenant_id, workspace_id), [0, 0, 0])


class UsageWriter:
    """Writes what a transaction adds, one statement for all of it."""

    def __init__(self, dialect: str, incarnation: str) -> None:
        self._count = ManyRows(sa.text(_COUNT), dialect)
        # SQLite's writers take turns anyway.
        self._slot = crc32(incarnation.encode()) % _SLOTS if dialect == "postgresql" else 0

    def write(self, connection: Connection, used: Used, now: float) -> None:
        """To be called last: on PostgreSQL the rows stay locked until the commit."""
        if rows := used.rows(now, self._slot):
            self._count.execute(connection, rows)
