"""Raised limits as people see them, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.find import find_account
from gateway.control.accounts.model import AccountRow
from gateway.control.errors import Invalid
from gateway.control.filters import of_tenant
from gateway.control.lookup import shown
from gateway.control.paging import Listing
from gateway.control.raises.model import RaiseRow
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow

RaiseState = Literal["active", "ended", "revoked"]


@dataclass(frozen=True, slots=True)
class RaiseView:
    """Limits raised until a time (seconds since 1970): an account's, or a tenant's where `account` is None.

    `name` is the account's address or the tenant's name, `limits` the new values by the limit's name.
    """

    id: str
    name: str
    tenant_id: str
    account_id: str | None
    account: str | None
    limits: dict[str, int]
    reason: str
    until: float
    state: RaiseState
    revoked_at: float | None
    created_by: str
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def raise_views(session: Session, rows: Sequence[RaiseRow], now: float) -> list[RaiseView]:
    """The views of rows at `now`, in their order."""
    accounts = sa.select(AccountRow.id, AccountRow.address)
    tenants = sa.select(TenantRow.id, TenantRow.name)
    addresses = dict(
        session.execute(accounts.where(AccountRow.id.in_({row.account_id for row in rows}))).all()
    )
    names = dict(session.execute(tenants.where(TenantRow.id.in_({row.tenant_id for row in rows}))).all())
    return [_view(row, addresses.get(row.account_id or ""), names[row.tenant_id], now) for row in rows]


def _view(row: RaiseRow, account: str | None, tenant: str, now: float) -> RaiseView:
    return RaiseView(
        id=row.id,
        name=account or tenant,
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        account=account,
        limits=dict(row.limits),
        reason=row.reason,
        until=row.until,
        state="revoked" if row.revoked_at is not None else "active" if now < row.until else "ended",
        revoked_at=row.revoked_at,
        created_by=row.created_by,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def listing(now: float) -> Listing[RaiseRow, RaiseView]:
    """How raised limits are listed at `now`."""
    return Listing(
        row=RaiseRow,
        views=partial(_views_at, now),
        sorts={"created_at": RaiseRow.created_at, "until": RaiseRow.until},
        filters={
            "tenant": of_tenant(RaiseRow.tenant_id),
            "account": _of_account,
            "state": partial(_in_state, now),
            "client_id": RaiseRow.client_id,
        },
    )


def _views_at(now: float, session: Session, rows: Sequence[RaiseRow]) -> list[RaiseView]:
    return raise_views(session, rows, now)


def _of_account(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:
    return RaiseRow.account_id == find_account(session, actor, word).id


def _in_state(
    now: float,
    session: Session,  # noqa: ARG001 - a filter's form
    actor: Actor,  # noqa: ARG001
    word: str,
) -> sa.ColumnElement[bool]:
    states = {
        "active": sa.and_(RaiseRow.revoked_at.is_(None), RaiseRow.until > now),
        "ended": sa.and_(RaiseRow.revoked_at.is_(None), RaiseRow.until <= now),
        "revoked": RaiseRow.revoked_at.is_not(None),
    }
    if word not in states:
        raise Invalid("bad-state", f"{shown(word)} is no state.", f"Choose {', '.join(states)}.")
    return states[word]
