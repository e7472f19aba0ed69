"""Usage of all locations, for a caller who may see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.control.errors import Unavailable
from gateway.control.plans.model import PlanRow
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.model import WorkspaceRow
from gateway.outgoing.queue import tables
from gateway.outgoing.usage.report import Dimension, UsageRow, grouped, parse_dimensions, parse_month
from gateway.system.database import Database, DatabaseAway
from gateway.system.moments import calendar_time

Place = tuple[str, str]
"""A tenant's and a workspace's id."""


@dataclass(slots=True)
class _Sum:
    accepted: int = 0
    recipients: int = 0
    delivered: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Names:
    """Name and plan of tenants, names of workspaces: of those the caller may see."""

    tenants: Mapping[str, tuple[str, str]]
    workspaces: Mapping[str, str]


class UsageService:
    """What was used in a month, equal to what quotas counted where there are any."""

    def __init__(self, writes: ControlWrites, locations: Mapping[str, Database]) -> None:
        self._writes = writes
        self._locations = dict(locations)

    def report(self, actor: Actor, month: str, by: Iterable[Dimension | str] = ()) -> tuple[UsageRow, ...]:
        """The use of `month` (`2026-11`, UTC), a row for each tenant, workspace and plan, or what `by` names.

        A tenant or workspace that is gone since keeps its id for a name, but only the operator sees it.
        Raises Invalid, Unavailable.
        """
        wanted, dimensions = parse_month(month), parse_dimensions(by)
        # What was stored in another month nobody noted.
        running = calendar_time(self._writes.clock.now()).strftime("%Y-%m")
        sums: dict[Place, _Sum] = {}
        for name, database in self._locations.items():
            try:
                _add_location(sums, database, wanted, actor, with_stored=wanted == running)
            except DatabaseAway as error:
                raise Unavailable(
                    "database-away",
                    f"The database of location {name} is away.",
                    "Try again; `gatepost doctor` looks at it.",
                ) from error
        return grouped(_named(sums, self._names(actor), wanted, actor), dimensions)

    def _names(self, actor: Actor) -> _Names:
        with self._writes.view() as session:
            tenants = (
                sa.select(TenantRow.id, TenantRow.name, PlanRow.name.label("plan"))
                .join(PlanRow, PlanRow.id == TenantRow.plan_id)
                .where(visible(actor, TenantRow))
            )
            workspaces = sa.select(WorkspaceRow.id, WorkspaceRow.name).where(visible(actor, WorkspaceRow))
            return _Names(
                {row.id: (row.name, row.plan) for row in session.execute(tenants)},
                {row.id: row.name for row in session.execute(workspaces)},
            )


def _add_location(
    sums: dict[Place, _Sum], database: Database, month: str, actor: Actor, *, with_stored: bool
) -> None:
    count, body, message = tables.usage_count, tables.message_body, tables.message
    used = (
        sa.select(
            count.c.tenant_id,
            count.c.workspace_id,
            sa.func.sum(count.c.accepted).label("accepted"),
            sa.func.sum(count.c.recipients).label("recipients"),
            sa.func.sum(count.c.delivered).label("delivered"),
        )
        .where(count.c.month == month)
        .group_by(count.c.tenant_id, count.c.workspace_id)
    )
    kept = (
        sa.select(message.c.tenant_id, message.c.workspace_id, sa.func.sum(message.c.size).label("octets"))
        .join(body, body.c.message_id == message.c.id)
        .where(message.c.workspace_id.is_not(None))
        .group_by(message.c.tenant_id, message.c.workspace_id)
    )
    if actor.tenant_id is not None:
        used = used.where(count.c.tenant_id == actor.tenant_id)
        kept = kept.where(message.c.tenant_id == actor.tenant_id)
    with database.read() as connection:
        for row in connection.execute(used):
            place = sums.setdefault((row.tenant_id, row.workspace_id), _Sum())
            place.accepted += int(row.accepted)
            place.recipients += int(row.recipients)
            place.delivered += int(row.delivered)
        for tenant_id, workspace_id, octets in connection.execute(kept) if with_stored else ():
            sums.setdefault((tenant_id, workspace_id), _Sum()).stored_bytes += int(octets)


def _named(sums: Mapping[Place, _Sum], names: _Names, month: str, actor: Actor) -> Iterator[UsageRow]:
    for (tenant_id, workspace_id), one in sums.items():
        known = tenant_id in names.tenants and workspace_id in names.workspaces
        if not known and not actor.is_operator:
            continue
        tenant, plan = names.tenants.get(tenant_id, (tenant_id, None))
        yield UsageRow(
            month=month,
            tenant_id=tenant_id,
            tenant=tenant,
            workspace_id=workspace_id,
            workspace=names.workspaces.get(workspace_id, workspace_id),
            plan=plan,
            accepted=one.accepted,
            recipients=one.recipients,
            delivered=one.delivered,
            stored_bytes=one.stored_bytes,
        )
