"""What of a tenant does not fit a plan: it stays and works under the plan's limits, but grows no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountRow
from gateway.control.plans.model import PlanRow
from gateway.control.policies.checks import shown_limit
from gateway.control.policies.differences import ValueChange, differences
from gateway.control.policies.resolution import PolicySet, UnknownDocument
from gateway.control.policies.store import read_policy_set
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.model import TenantRow
from gateway.control.workspaces.model import WorkspaceRow


@dataclass(frozen=True, slots=True)
class Misfit:
    """A workspace whose policy sets a limit above the plan's, or a shard on an address the plan may not use.

    `key` is the limit (or "source"), `value` what it has, `allowed` what the plan allows and holds instead.
    """

    kind: Literal["workspace", "shard"]
    id: str
    name: str
    key: str
    value: str
    allowed: str


@dataclass(frozen=True, slots=True)
class WorkspaceEffect:
    """What another plan changes for a tenant's accounts in one workspace."""

    workspace_id: str
    workspace: str
    accounts: int
    changes: tuple[ValueChange, ...]


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """What putting a tenant on another plan would do; nothing of it is ever deleted."""

    tenant_id: str
    tenant: str
    from_plan: str
    to_plan: str
    no_longer_fits: tuple[Misfit, ...]
    workspaces: tuple[WorkspaceEffect, ...]


def misfits(session: Session, plans: Mapping[str, str]) -> dict[str, tuple[Misfit, ...]]:
    """What does not fit, by tenant; `plans` has the name of the plan of each tenant's id."""
    found: dict[str, list[Misfit]] = {tenant_id: [] for tenant_id in plans}
    own = sa.select(WorkspaceRow).where(WorkspaceRow.tenant_id.in_(plans)).order_by(WorkspaceRow.name_key)
    workspaces = session.scalars(own).all()
    policies = read_policy_set(session) if workspaces else PolicySet.empty()
    for row in workspaces:
        found[row.owner] += _above_plan(policies, row, plans[row.owner])
    sending = (
        sa.select(ShardRow.id, ShardRow.name, ShardRow.tenant_id, SourceRow.helo, SourceRow.plans)
        .join(SourceRow, SourceRow.id == ShardRow.source_id)
        .where(ShardRow.tenant_id.in_(plans), ShardRow.state != "retired")
        .order_by(ShardRow.name)
    )
    for shard_id, name, tenant_id, helo, allowed in session.execute(sending):
        if allowed and plans[tenant_id] not in allowed:
            text = f"an address of plan {plans[tenant_id]}"
            found[tenant_id].append(Misfit("shard", shard_id, name, "source", helo, text))
    return {tenant_id: tuple(some) for tenant_id, some in found.items()}


def preview_plan(session: Session, row: TenantRow, plan: PlanRow) -> PlanPreview:
    """What putting the tenant on the plan would change."""
    before = session.get_one(PlanRow, row.plan_id).name
    return PlanPreview(
        tenant_id=row.id,
        tenant=row.name,
        from_plan=before,
        to_plan=plan.name,
        no_longer_fits=misfits(session, {row.id: plan.name})[row.id],
        workspaces=tuple(_effects(session, row, before, plan.name)),
    )


def _above_plan(policies: PolicySet, row: WorkspaceRow, plan: str) -> list[Misfit]:
    try:
        excesses = policies.above_plan(row.policy, plan)
    except UnknownDocument:
        return []  # nobody can sign in there, and `policy apply` says why
    return [
        Misfit(
            kind="workspace",
            id=row.id,
            name=row.name,
            key=one.key,
            value=shown_limit(one.key, one.policy),
            allowed=shown_limit(one.key, one.plan),
        )
        for one in excesses
    ]


def _effects(session: Session, row: TenantRow, before: str, after: str) -> Sequence[WorkspaceEffect]:
    policies = read_policy_set(session)
    used = (
        sa.select(WorkspaceRow, sa.func.count(AccountRow.id))
        .join(AccountRow, AccountRow.workspace_id == WorkspaceRow.id)
        .where(AccountRow.tenant_id == row.id)
        .group_by(WorkspaceRow.id)
        .order_by(WorkspaceRow.name_key, WorkspaceRow.id)
    )
    effects = []
    for place, accounts in session.execute(used):
        old, new = (
            policies.resolve(place.policy, plan, shared=place.tenant_id is None) for plan in (before, after)
        )
        changes = differences(old, new, (place.location, place.location))
        effects.append(WorkspaceEffect(place.id, place.name, accounts, changes))
    return effects
