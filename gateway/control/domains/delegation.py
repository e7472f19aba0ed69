"""A tenant lets another one have domains below one of its own. Without that, what it proved is its alone."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.find import find_domain
from gateway.control.domains.model import HELD, DelegationRow, DomainRow
from gateway.control.domains.names import parents
from gateway.control.errors import Conflict
from gateway.control.lookup import is_id, not_found
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites


@dataclass(frozen=True, slots=True)
class DelegationView:
    """Names below `domain`, which is `tenant_id`'s, may be claimed by the tenant `delegate_id`."""

    id: str
    tenant_id: str
    domain: str
    domain_id: str
    delegate_id: str
    created_at: float


class DelegationService:
    """Rules and transactions of delegations. What was proved below a domain stays when one is revoked."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def delegate(self, actor: Actor, domain: str, *, to: str) -> DelegationView:
        """Let the tenant `to` (its id; the operator may give its name) have names below a proved domain.

        Raises NotFound, Conflict (the domain is not proved, it is done already, its own tenant).
        """
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, domain)
            other = _delegate(change.session, actor, to)
            if row.state not in HELD:
                raise Conflict(
                    "domain-not-proved",
                    f"{row.name} is {row.state}: nobody has it for sure.",
                    f"Prove it first; `gatepost domain verify {row.name}` looks at DNS.",
                )
            if other.id == row.tenant_id or _found(change.session, row, other) is not None:
                raise Conflict(
                    "delegated-already",
                    f"That tenant may have names below {row.name} already.",
                    "Nothing is to be done.",
                )
            made = DelegationRow(
                id=change.ids.uuid(),
                tenant_id=row.tenant_id,
                domain_id=row.id,
                delegate_id=other.id,
                created_at=change.now,
            )
            change.add(made)
            view = _view(made, row)
            record(change, "domain.delegate", "delegation", None, view)
            return view

    def revoke(self, actor: Actor, domain: str, *, to: str) -> DelegationView:
        """Let a tenant claim nothing more below a domain; what it has there stays. Raises NotFound."""
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, domain)
            made = _found(change.session, row, _delegate(change.session, actor, to))
            if made is None:
                raise not_found("delegation", to, f"`gatepost domain delegations {row.name}` shows them.")
            view = _view(made, row)
            change.session.delete(made)
            change.audit(
                "domain.undelegate",
                "delegation",
                view.id,
                tenant_id=row.tenant_id,
                before=payload(view),
                after=None,
            )
            return view

    def list(self, actor: Actor, domain: str) -> tuple[DelegationView, ...]:
        """Who may have names below a domain, the oldest first. Raises NotFound."""
        with self._writes.view() as session:
            row = find_domain(session, actor, domain)
            statement = sa.select(DelegationRow).where(DelegationRow.domain_id == row.id)
            return tuple(_view(one, row) for one in session.scalars(statement.order_by(DelegationRow.id)))


def refuse_below_others(session: Session, tenant_id: str, name: str) -> None:
    """Raises Conflict if a name lies under a domain that another tenant proved and did not delegate."""
    above = session.scalars(
        sa.select(DomainRow)
        .where(
            DomainRow.name.in_(parents(name)[1:]),
            DomainRow.state.in_(HELD),
            DomainRow.tenant_id != tenant_id,
        )
        .order_by(sa.func.length(DomainRow.name).desc())
    ).all()
    delegated = sa.select(DelegationRow.domain_id).where(
        DelegationRow.delegate_id == tenant_id, DelegationRow.domain_id.in_([row.id for row in above])
    )
    allowed = set(session.scalars(delegated))
    for row in above:
        if row.id not in allowed:
            raise Conflict(
                "parent-held",
                f"{name} lies under {row.name}, which another tenant has proved.",
                "Choose a domain of the tenant's own; or that tenant lets it: `gatepost domain delegate`.",
            )


def _delegate(session: Session, actor: Actor, reference: str) -> TenantRow:
    """The other tenant. Names are not tried out: a caller of one tenant must have been told the id."""
    if actor.is_operator:
        return find_tenant(session, actor, reference)
    found = session.get(TenantRow, reference.lower()) if is_id(reference) else None
    if found is None or found.is_platform:
        raise not_found("tenant", reference)
    return found


def _found(session: Session, row: DomainRow, other: TenantRow) -> DelegationRow | None:
    statement = sa.select(DelegationRow).where(
        DelegationRow.domain_id == row.id, DelegationRow.delegate_id == other.id
    )
    return session.scalars(statement).one_or_none()


def _view(row: DelegationRow, domain: DomainRow) -> DelegationView:
    return DelegationView(row.id, row.tenant_id, domain.name, domain.id, row.delegate_id, row.created_at)
