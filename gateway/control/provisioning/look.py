"""A look at what is there, before slow things are made: is the account there, how many keys are needed?"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow, PendingAddressRow
from gateway.control.domains.model import DomainRow
from gateway.control.domains.names import parse_name
from gateway.control.errors import Conflict, Invalid, NotFound
from gateway.control.lookup import is_id, not_found
from gateway.control.provisioning.values import ProvisionRequest, TenantRequest
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.visibility import visible
from gateway.mail.address import AddressError, parse_mailbox

READY = ("active", "degraded")
"""The states of a domain in which accounts have their addresses there."""


@dataclass(frozen=True, slots=True)
class Look:
    """`account_id` is the grant that is there already; `domains` are the names that need a key."""

    account_id: str | None
    domains: frozenset[str]


def look(session: Session, actor: Actor, request: ProvisionRequest, *, by_address: bool = False) -> Look:
    """What a request will need. Raises Invalid, NotFound, Conflict."""
    tenant = known_tenant(session, actor, request.tenant)
    trial = f"trial {request.environment} {_word(request.tenant)}"
    wanted = [parse_name(request.domain)] if request.domain is not None else []
    if tenant is None:
        return Look(None, frozenset([trial, *wanted]))
    account = known_account(session, actor, tenant, request, by_address=by_address)
    if account is not None:
        return Look(account.id, frozenset())
    states = {name: row.state for name in wanted if (row := named_domain(session, tenant, name)) is not None}
    missing = {name for name in wanted if name not in states}
    sends_at_once = any(state in READY for state in states.values())
    if not sends_at_once and trial_domain(session, tenant, request.environment) is None:
        missing.add(trial)
    return Look(None, frozenset(missing))


def known_tenant(session: Session, actor: Actor, request: TenantRequest) -> TenantRow | None:
    """The tenant that is meant; None: a new one. Raises NotFound, Invalid, Conflict."""
    if request.name is None and request.client_id is None:
        if actor.tenant_id is None:
            raise Invalid("no-tenant", "The request names no tenant.", "Give the tenant's name or client_id.")
        return find_tenant(session, actor, actor.tenant_id)
    by_client = _tenant_of_client(session, actor, request.client_id)
    if by_client is not None:
        return by_client
    if request.name is None:
        raise not_found("tenant", str(request.client_id))
    try:
        row = find_tenant(session, actor, request.name)
    except NotFound:
        # Only the operator makes tenants: for others an unknown name is as a foreign one.
        if is_id(request.name) or not actor.is_operator:
            raise
        return None
    if request.client_id is not None and row.client_id is not None:
        raise Conflict(
            "tenant-exists",
            f"There is a tenant {row.name} already, with another client_id.",
            "Give that client_id or none for this tenant, or another name for a new one.",
        )
    return row


def known_account(
    session: Session, actor: Actor, tenant: TenantRow, request: ProvisionRequest, *, by_address: bool = False
) -> AccountRow | None:
    """The account that an earlier request made: by the caller's own id, or by the address."""
    seen = sa.and_(visible(actor, AccountRow), AccountRow.tenant_id == tenant.id)
    if request.account.client_id is not None:
        same = AccountRow.client_id == request.account.client_id
        return session.scalars(sa.select(AccountRow).where(seen, same)).one_or_none()
    if not by_address:
        return None
    name = parse_name(request.domain) if request.domain is not None else None
    if name is None:
        trial = trial_domain(session, tenant, request.environment)
        name = trial.name if trial is not None else None
    if name is None:
        return None
    keys = [_key(request.account.local_part, name)]
    holders = sa.union(
        sa.select(AccountAddressRow.account_id).where(AccountAddressRow.key.in_(keys)),
        sa.select(PendingAddressRow.account_id).where(
            PendingAddressRow.key.in_(keys), PendingAddressRow.tenant_id == tenant.id
        ),
    )
    return session.scalars(sa.select(AccountRow).where(seen, AccountRow.id.in_(holders))).first()


def named_domain(session: Session, tenant: TenantRow, name: str) -> DomainRow | None:
    """The tenant's domain of this name, trial names included."""
    statement = sa.select(DomainRow).where(DomainRow.tenant_id == tenant.id, DomainRow.name == name)
    return session.scalars(statement).one_or_none()


def trial_domain(session: Session, tenant: TenantRow, environment: str) -> DomainRow | None:
    """The tenant's trial name in an environment."""
    statement = sa.select(DomainRow).where(
        DomainRow.tenant_id == tenant.id, DomainRow.environment == environment, DomainRow.kind == "trial"
    )
    return session.scalars(statement.order_by(DomainRow.id).limit(1)).one_or_none()


def _tenant_of_client(session: Session, actor: Actor, client_id: str | None) -> TenantRow | None:
    if client_id is None:
        return None
    statement = sa.select(TenantRow).where(visible(actor, TenantRow), TenantRow.client_id == client_id)
    return session.scalars(statement).one_or_none()


def _word(request: TenantRequest) -> str:
    return request.name or request.client_id or ""


def _key(local_part: str, domain: str) -> str:
    try:
        return parse_mailbox(f"{local_part}@{domain}", smtputf8=True).key
    except AddressError:
        return ""
