"""Raising limits for a time: never above the plan, ended by the clock, called off at any moment."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.find import find_account
from gateway.control.accounts.model import AccountRow
from gateway.control.clientids import set_client_id
from gateway.control.credentials.terms import clean_expiry
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.lookup import clean_metadata, clean_reason, is_id, not_found
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.policies.checks import shown_limit
from gateway.control.policies.effective import Limit
from gateway.control.policies.store import read_policy_set
from gateway.control.raises.limits import parse_limits
from gateway.control.raises.model import RaiseRow
from gateway.control.raises.view import RaiseView, listing, raise_views
from gateway.control.recording import record
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.model import WorkspaceRow


class RaiseService:
    """Rules and transactions of raised limits. Raising is the operator's; a tenant sees its own."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def create(
        self,
        actor: Actor,
        target: str,
        limits: Mapping[str, int | str],
        *,
        until: float | None,
        reason: str | None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> RaiseView:
        """Raise limits of an account (address, grant id) or of a tenant (name, id) until a time.

        `limits`: numbers by name (`messages_per_day`, or short `daily`); a tenant's count in each of its
        workspaces. `until` in seconds since 1970. Raises Invalid, NotFound, Forbidden, Conflict (above the
        plan, or no raise at all).
        """
        wanted, pairs = parse_limits(limits), clean_metadata(metadata)
        words = clean_reason(reason)
        if words is None:
            raise Invalid("no-reason", "Raising a limit needs a reason.", "Say why: it is kept in the audit.")
        with self._writes.change(actor) as change:
            owner, account = _target(change.session, actor, target)
            if not actor.is_operator:
                raise Forbidden("operator-only", "Limits are the operator's to raise.", "Ask the operator.")
            end = clean_expiry(until, change.now, "Give a later time until which it holds.")
            if end is None:
                raise Invalid("no-end", "It is not said how long.", "Give a time until which it holds.")
            _check(change.session, owner, account, wanted)
            row = RaiseRow(
                id=change.ids.uuid(),
                tenant_id=owner.id,
                account_id=account.id if account is not None else None,
                limits=wanted,
                reason=words,
                until=end,
                created_by=f"{actor.kind}:{actor.id}",
                metadata_=pairs,
                created_at=change.now,
                updated_at=change.now,
            )
            set_client_id(change.session, row, client_id)
            change.add(row)
            return _audited(change, "limit.raise", None, row)

    def revoke(self, actor: Actor, reference: str) -> RaiseView:
        """End a raise now, by its id; ending it again changes nothing. Raises NotFound, Forbidden."""
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            if not actor.is_operator:
                raise Forbidden("operator-only", "A raise is the operator's to end.", "Ask the operator.")
            before = raise_views(change.session, [row], change.now)[0]
            if before.state != "active":
                return before
            row.revoked_at = change.now
            return _audited(change, "limit.revoke", before, row)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> RaiseView:
        """Change the caller's own id and pairs; another raise says other limits. Raises NotFound, Invalid."""
        with self._writes.change(actor) as change:
            row = _find(change.session, actor, reference)
            before = raise_views(change.session, [row], change.now)[0]
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return _audited(change, "limit.update", before, row)

    def page(self, actor: Actor, query: PageQuery) -> Page[RaiseView]:
        """A page of the raises the caller may see.

        Filters: tenant, account, state (active, ended, revoked), client_id, metadata.KEY. Sorts: created_at,
        until. Raises Invalid, NotFound.
        """
        with self._writes.view() as session:
            how = listing(self._writes.clock.now())
            return read_page(session, actor, how, query, visible(actor, RaiseRow))

    def show(self, actor: Actor, reference: str) -> RaiseView:
        """One raise by its id. Raises NotFound."""
        with self._writes.view() as session:
            return raise_views(session, [_find(session, actor, reference)], self._writes.clock.now())[0]


def _find(session: Session, actor: Actor, reference: str) -> RaiseRow:
    wanted = sa.select(RaiseRow).where(RaiseRow.id == reference.lower(), visible(actor, RaiseRow))
    row = session.scalars(wanted).one_or_none()
    if row is None:
        raise not_found("limit", reference)
    return row


def _target(session: Session, actor: Actor, target: str) -> tuple[TenantRow, AccountRow | None]:
    """The tenant, and the account if one is meant. Raises NotFound."""
    if "@" not in target:
        try:
            return find_tenant(session, actor, target), None
        except NotFound:
            if not is_id(target):
                raise
    account = find_account(session, actor, target)
    return session.get_one(TenantRow, account.tenant_id), account


def _check(session: Session, owner: TenantRow, account: AccountRow | None, limits: Mapping[str, int]) -> None:
    """Each limit is higher than the one that holds, somewhere, and not above the plan's. Raises Conflict."""
    policies = read_policy_set(session)
    plan = session.get_one(PlanRow, owner.plan_id).name
    scope = "account" if account is not None else "tenant"
    used = sa.select(WorkspaceRow).where(WorkspaceRow.id.in_(_workspaces(owner, account)))
    holding = [
        getattr(policies.resolve(row.policy, plan, shared=row.tenant_id is None), scope)
        for row in session.scalars(used)
    ]
    for name, value in limits.items():
        key = f"limits.{scope}.{name}"
        most = policies.ceiling(plan, key)
        if most is not None and not most.allows(value):
            raise Conflict(
                "above-plan",
                f"{key} of {shown_limit(key, Limit(value))} is above the plan's {shown_limit(key, most)} "
                f"({most.source}).",
                "Raise it up to the plan's, or put the tenant on another plan.",
            )
        if holding and not any(_is_lower(getattr(one, name), value) for one in holding):
            raise Conflict(
                "no-raise",
                f"{key} is not below {shown_limit(key, Limit(value))} now.",
                "`gatepost policy explain ACCOUNT` shows every limit that holds.",
            )


def _workspaces(owner: TenantRow, account: AccountRow | None) -> sa.Select[str]:
    statement = sa.select(AccountRow.workspace_id).where(AccountRow.tenant_id == owner.id)
    return statement if account is None else statement.where(AccountRow.id == account.id)


def _is_lower(limit: Limit, value: int) -> bool:
    return limit.value is not None and limit.value < value


def _audited(change: ControlChange, operation: str, before: RaiseView | None, row: RaiseRow) -> RaiseView:
    row.updated_at = change.now
    change.session.flush()
    after = raise_views(change.session, [row], change.now)[0]
    record(change, operation, "raise", before, after, account_id=row.account_id)
    return after
