"""Deleting what nothing depends on, at once: workspaces without accounts, documents that nobody uses."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountRow
from gateway.control.errors import Conflict
from gateway.control.plans.model import PlanRow
from gateway.control.policies.documents import Kind
from gateway.control.policies.model import PolicyRow
from gateway.control.policies.store import read_policy_set
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.model import TenantRow
from gateway.control.workspaces.model import SHARED, WorkspaceRow

_SHOWN = 5


def require_empty(session: Session, row: WorkspaceRow) -> None:
    """Raises Conflict if a workspace has accounts, or is the one where all others end up."""
    accounts = sa.select(sa.func.count()).where(AccountRow.workspace_id == row.id)
    there = session.scalar(accounts) or 0
    if there:
        raise Conflict(
            "workspace-in-use",
            f"{row.name} has {there} accounts, those included that are being deleted.",
            f"`gatepost account list --workspace {row.name}` lists them; move them first.",
        )
    if row.is_default and row.owner == SHARED:
        raise Conflict(
            "workspace-default",
            f"{row.name} is the platform's default of the environment {row.environment}.",
            "Make another one the default first.",
        )


def require_unused(session: Session, kind: Kind, row: PolicyRow | PlanRow) -> None:
    """Raises Conflict, naming them, if anything uses a policy or plan."""
    users = [
        f"{one.source} (extends it)"
        for one in read_policy_set(session).documents
        if one.kind == kind and one.extends == row.name
    ]
    users += _workspaces(session, row.name) if kind == "policy" else _of_plan(session, row)
    if users:
        more = f" and {len(users) - _SHOWN} more" if len(users) > _SHOWN else ""
        raise Conflict(
            f"{kind}-in-use",
            f"The {kind} {row.name} is used by {', '.join(users[:_SHOWN])}{more}.",
            f"Give them another {kind} first.",
        )


def _workspaces(session: Session, policy: str) -> list[str]:
    statement = sa.select(WorkspaceRow.name).where(WorkspaceRow.policy == policy)
    return [f"workspace {name}" for name in session.scalars(statement.order_by(WorkspaceRow.name_key))]


def _of_plan(session: Session, row: PolicyRow | PlanRow) -> list[str]:
    tenants = sa.select(TenantRow.name).where(TenantRow.plan_id == row.id).order_by(TenantRow.name_key)
    sources = session.scalars(sa.select(SourceRow).order_by(SourceRow.helo))
    return [f"tenant {name}" for name in session.scalars(tenants)] + [
        f"source {source.helo}" for source in sources if row.name in source.plans
    ]
