"""Whom a tenant's notices go to, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountRow
from gateway.control.plans.model import PlanRow
from gateway.control.policies.store import read_policy_set
from gateway.control.policies.tiers import next_plan
from gateway.control.tenants.model import TenantRow


@dataclass(frozen=True, slots=True)
class Addressee:
    """A tenant as its notices see it; `contacts` are addresses, none where it wants no notices."""

    tenant_id: str
    name: str
    plan: str
    contacts: tuple[str, ...]


def read_addressee(session: Session, tenant_id: str) -> Addressee | None:
    """The tenant; None if it is gone or going."""
    statement = (
        sa.select(TenantRow, PlanRow.name)
        .join(PlanRow, PlanRow.id == TenantRow.plan_id)
        .where(TenantRow.id == tenant_id, TenantRow.status != "deleting")
    )
    found = session.execute(statement).first()
    if found is None:
        return None
    row, plan = found
    return Addressee(row.id, row.name, plan, tuple(row.contacts) if row.notices else ())


def larger_plan(session: Session, plan: str, limit: str) -> str | None:
    """The next plan that gives more of `limit` ("limits.account.storage_bytes"), None if there is none."""
    return next_plan(read_policy_set(session), plan, limit)


def account_address(session: Session, tenant_id: str, account_id: str) -> str | None:
    """An account's address."""
    statement = sa.select(AccountRow.address).where(
        AccountRow.id == account_id, AccountRow.tenant_id == tenant_id
    )
    return session.scalar(statement)
