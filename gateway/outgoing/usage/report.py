"""Usage as a table: grouped by what the caller asked for. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.control.sheets import as_csv

Dimension = Literal["tenant", "workspace", "plan"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What was used in `month` (UTC, `2026-11`). What the table is not grouped by is None.

    `accepted` are messages, `recipients` theirs, `delivered` recipients who got theirs in that month.
    `stored_bytes`: octets of the bodies that are kept now; 0 but for the running month. `plan` is today's.
    """

    month: str
    tenant_id: str | None
    tenant: str | None
    workspace_id: str | None
    workspace: str | None
    plan: str | None
    accepted: int
    recipients: int
    delivered: int
    stored_bytes: int


COLUMNS = tuple(field.name for field in dataclasses.fields(UsageRow))


def parse_month(text: str) -> str:
    """A month as it is written, `2026-11`. Raises Invalid."""
    if _MONTH.fullmatch(text) is None:
        raise Invalid("bad-month", f"{shown(text)} is no month.", "Write it as 2026-11.")
    return text


def parse_dimensions(words: Iterable[str]) -> frozenset[Dimension]:
    """What to group by; none: by all. Raises Invalid."""
    wanted = frozenset(words)
    if unknown := sorted(wanted - set(DIMENSIONS)):
        raise Invalid(
            "bad-grouping",
            f"Usage is not counted by {shown(unknown[0])}.",
            f"Choose from {', '.join(DIMENSIONS)}.",
        )
    return frozenset(one for one in DIMENSIONS if not wanted or one in wanted)


def grouped(rows: Iterable[UsageRow], by: frozenset[Dimension]) -> tuple[UsageRow, ...]:
    """The rows added up where they differ only in what is not asked for; sorted by what is."""
    sums: dict[tuple[str | None, ...], UsageRow] = {}
    for row in rows:
        one = _without(row, by)
        key = (one.tenant_id, one.workspace_id, one.plan)
        sums[key] = _added(sums[key], one) if key in sums else one
    return tuple(sorted(sums.values(), key=_order))


def usage_csv(rows: Sequence[UsageRow]) -> str:
    """The table for a spreadsheet, with a header line."""
    return as_csv(COLUMNS, [[getattr(row, name) for name in COLUMNS] for row in rows])


def _without(row: UsageRow, by: frozenset[Dimension]) -> UsageRow:
    changes: dict[str, None] = {}
    if "tenant" not in by:
        changes |= {"tenant_id": None, "tenant": None}
    if "workspace" not in by:
        changes |= {"workspace_id": None, "workspace": None}
    if "plan" not in by:
        changes |= {"plan": None}
    return dataclasses.replace(row, **changes) if changes else row  # type: ignore[arg-type]


def _added(one: UsageRow, other: UsageRow) -> UsageRow:
    return dataclasses.replace(
        one,
        accepted=one.accepted + other.accepted,
        recipients=one.recipients + other.recipients,
        delivered=one.delivered + other.delivered,
        stored_bytes=one.stored_bytes + other.stored_bytes,
    )


def _order(row: UsageRow) -> tuple[str, ...]:
    return (
        row.tenant or "",
        row.workspace or "",
        row.plan or "",
        row.tenant_id or "",
        row.workspace_id or "",
    )
