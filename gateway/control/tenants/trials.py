"""Tenants on the plan `trial`: when their trial ends. A trial name under another plan ends never."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.audit.model import AuditEntryRow, AuditPayloadRow
from gateway.control.plans.model import PlanRow
from gateway.control.tenants.model import TenantRow

PLAN = "trial"


@dataclass(frozen=True, slots=True)
class Trial:
    """A tenant's trial, and when it ends, in seconds since 1970."""

    tenant_id: str
    ends_at: float


def trials_ending(session: Session, seconds: float, before: float) -> tuple[Trial, ...]:
    """The trials of `seconds` that end `before` a time, the first first; suspended tenants are left out."""
    statement = (
        sa.select(TenantRow)
        .join(PlanRow, PlanRow.id == TenantRow.plan_id)
        .where(
            PlanRow.name == PLAN,
            TenantRow.status == "active",
            ~TenantRow.is_platform,
            TenantRow.created_at <= before - seconds,
        )
    )
    rows = session.scalars(statement).all()
    found = (Trial(row.id, _since(session, row, seconds) + seconds) for row in rows)
    return tuple(sorted((one for one in found if one.ends_at <= before), key=lambda one: one.ends_at))


def _since(session: Session, row: TenantRow, seconds: float) -> float:
    """When the tenant's trial of `seconds` began: with its making, unless the audit has a later beginning.

    That is a change of plan, or that it was resumed when its trial was over: who does that gives another one.
    """
    begun: tuple[str, ...] = ("tenant.update", "tenant.resume")
    statement = (
        sa.select(AuditEntryRow.at, AuditEntryRow.operation, AuditPayloadRow.before, AuditPayloadRow.after)
        .outerjoin(AuditPayloadRow, AuditPayloadRow.number == AuditEntryRow.number)
        .where(AuditEntryRow.resource_id == row.id, AuditEntryRow.operation.in_(begun))
        .order_by(AuditEntryRow.number)
    )
    since = row.created_at
    for at, operation, before, after in session.execute(statement):
        resumed = operation == "tenant.resume" and at >= since + seconds
        if resumed or _plan(before) != _plan(after):
            since = float(at)
    return since


def _plan(payload: str | None) -> str | None:
    return json.loads(payload).get("plan") if payload else None
