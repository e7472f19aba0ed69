"""Tenants as people see them, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import DomainRow
from gateway.control.filters import among
from gateway.control.paging import Listing
from gateway.control.plans.model import PlanRow
from gateway.control.plans.service import find_plan
from gateway.control.shards.model import ShardRow
from gateway.control.tenants.fitting import Misfit, misfits
from gateway.control.tenants.model import STATUSES, TenantRow


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant with the names of its domains and shards. `tenant_id` is its own id.

    `no_longer_fits` is what stands above its plan since it was put on a smaller one: the plan's limits hold.
    `purge_at` is set while it is being deleted; `notices` says whether its contacts are written to.
    """

    id: str
    name: str
    tenant_id: str
    slug: str
    plan: str
    status: str
    status_reason: str | None
    is_platform: bool
    contacts: tuple[str, ...]
    notices: bool
    domains: tuple[str, ...]
    shards: tuple[str, ...]
    no_longer_fits: tuple[Misfit, ...]
    purge_at: float | None
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def tenant_view(session: Session, row: TenantRow) -> TenantView:
    """The view of a row."""
    return tenant_views(session, [row])[0]


def tenant_views(session: Session, rows: Sequence[TenantRow]) -> list[TenantView]:
    """The views of rows, in their order."""
    ids = [row.id for row in rows]
    plan_names = sa.select(PlanRow.id, PlanRow.name).where(PlanRow.id.in_({row.plan_id for row in rows}))
    plans: dict[str, str] = dict(session.execute(plan_names).all())
    domains, shards = _names(session, DomainRow, ids), _names(session, ShardRow, ids)
    above = misfits(session, {row.id: plans[row.plan_id] for row in rows})
    return [
        _view(row, plans[row.plan_id], domains.get(row.id, []), shards.get(row.id, []), above[row.id])
        for row in rows
    ]


def _names(session: Session, table: Any, tenant_ids: Sequence[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    found = sa.select(table.tenant_id, table.name).where(table.tenant_id.in_(tenant_ids))
    for tenant_id, name in session.execute(found.order_by(table.name)):
        names.setdefault(tenant_id, []).append(name)
    return names


def _view(
    row: TenantRow, plan: str, domains: Sequence[str], shards: Sequence[str], above: tuple[Misfit, ...]
) -> TenantView:
    return TenantView(
        id=row.id,
        name=row.name,
        tenant_id=row.id,
        slug=row.slug,
        plan=plan,
        status=row.status,
        status_reason=row.status_reason,
        is_platform=row.is_platform,
        contacts=tuple(row.contacts),
        notices=row.notices,
        domains=tuple(domains),
        shards=tuple(shards),
        no_longer_fits=above,
        purge_at=row.purge_at,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


LISTING = Listing(
    row=TenantRow,
    views=tenant_views,
    sorts={
        "name": TenantRow.name_key,
        "created_at": TenantRow.created_at,
        "updated_at": TenantRow.updated_at,
    },
    filters={
        "name": TenantRow.name,
        "status": among(TenantRow.status, STATUSES, "status"),
        "plan": lambda session, _, word: TenantRow.plan_id == find_plan(session, word).id,
        "client_id": TenantRow.client_id,
    },
)
