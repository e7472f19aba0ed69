"""Raised limits as they were: for replays of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.control.raises.model import RaiseRow
from gateway.control.records import RaiseRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class PastRaise:
    """A raised limit, and from when on it held (seconds since 1970); `record.until` is when it ended."""

    record: RaiseRecord
    since: float


def raises_since(connection: Connection, since: float) -> dict[str, list[PastRaise]]:
    """All that held at some time after `since`, by tenant; one that was called off ended then."""
    end = sa.func.coalesce(RaiseRow.revoked_at, RaiseRow.until)
    rows = connection.execute(
        sa.select(
            RaiseRow.id,
            RaiseRow.tenant_id,
            RaiseRow.account_id,
            RaiseRow.limits,
            RaiseRow.until,
            RaiseRow.revoked_at,
            RaiseRow.created_at,
        )
        .where(end > since)
        .order_by(RaiseRow.id)
    )
    found: dict[str, list[PastRaise]] = {}
    for row in rows:
        until = row.until if row.revoked_at is None else min(row.until, row.revoked_at)
        record = RaiseRecord(row.id, row.tenant_id, row.account_id, row.limits, until)
        found.setdefault(row.tenant_id, []).append(PastRaise(record, row.created_at))
    return found
