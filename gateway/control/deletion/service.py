"""Deleting accounts, tenants and domains: they stop at once, can be had back for a while, then go for good.

What goes at once, having no history of its own: workspaces without accounts, documents nobody uses. What is
only taken out of use stays listed: shards and source addresses are retired, app passwords and keys revoked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.find import find_account
from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.accounts.view import AccountView, account_view
from gateway.control.deletion.erasure import erase_workspace
from gateway.control.deletion.export import exported
from gateway.control.deletion.grace import end_of_grace, require_restorable
from gateway.control.deletion.unused import require_empty, require_unused
from gateway.control.domains.find import find_domain
from gateway.control.domains.model import HELD, DomainRow
from gateway.control.domains.view import DomainView, domain_view
from gateway.control.errors import Conflict, Forbidden
from gateway.control.lookup import clean_reason
from gateway.control.policies.service import find_document
from gateway.control.policies.view import PolicyView, policy_view
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.tenants.find import find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.tenants.view import TenantView, tenant_view
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.workspaces.find import find_workspace
from gateway.control.workspaces.view import WorkspaceView, workspace_view


class DeletionService:
    """Rules and transactions of deleting with a time of grace (`grace_seconds`, the configured one unless
    given). `gateway.control.deletion.purge` does the rest when it is over."""

    def __init__(self, writes: ControlWrites, settings: ControlSettings) -> None:
        self._writes = writes
        self._settings = settings

    def delete_account(
        self, actor: Actor, reference: str, *, grace_seconds: float | None = None, reason: str | None = None
    ) -> AccountView:
        """Stop an account at once and let it go after its time of grace (`purge_at`).

        Raises NotFound, Invalid, Conflict (it is being deleted already).
        """
        words = clean_reason(reason)
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            _refuse_twice("account", row.address, row.purge_at)
            before = account_view(change.session, row)
            row.purge_at = self._end(change, grace_seconds)
            row.status, row.status_reason = "deleting", words
            return _account(change, "account.delete", before, row)

    def restore_account(self, actor: Actor, reference: str) -> AccountView:
        """Have an account back as it was, suspended if it was that. Raises NotFound, Conflict."""
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            require_restorable("account", row.address, row.purge_at, change.now)
            before = account_view(change.session, row)
            row.purge_at, row.status_reason = None, None
            row.status = "active" if row.suspended_at is None else "suspended"
            return _account(change, "account.restore", before, row)

    def delete_tenant(
        self, actor: Actor, reference: str, *, grace_seconds: float | None = None, reason: str | None = None
    ) -> TenantView:
        """Stop all of a tenant at once and let it go after its time of grace (`purge_at`).

        Raises NotFound, Invalid, Conflict (it is being deleted already), Forbidden.
        """
        words = clean_reason(reason)
        with self._writes.change(actor) as change:
            row = _tenant(change.session, actor, reference)
            _refuse_twice("tenant", row.name, row.purge_at)
            before = tenant_view(change.session, row)
            row.purge_at = self._end(change, grace_seconds)
            row.status, row.status_reason = "deleting", words
            return _audited_tenant(change, "tenant.delete", before, row)

    def restore_tenant(self, actor: Actor, reference: str) -> TenantView:
        """Have a tenant back as it was, suspended if it was that. Raises NotFound, Conflict, Forbidden."""
        with self._writes.change(actor) as change:
            row = _tenant(change.session, actor, reference)
            require_restorable("tenant", row.name, row.purge_at, change.now)
            before = tenant_view(change.session, row)
            row.purge_at, row.status_reason = None, None
            row.status = "active" if row.suspended_at is None else "suspended"
            return _audited_tenant(change, "tenant.restore", before, row)

    def delete_domain(
        self, actor: Actor, reference: str, *, grace_seconds: float | None = None
    ) -> DomainView:
        """Send nothing more with a domain that nothing depends on, and release it after its time of grace.

        Raises NotFound, Invalid, Forbidden (the platform's own), Conflict (it has accounts or shards).
        """
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, reference)
            if row.kind == "platform":
                raise Forbidden("platform-domain", f"{row.name} is the platform's own.", "It cannot go.")
            _refuse_twice("domain", row.name, row.purge_at)
            _refuse_used(change.session, row)
            before = domain_view(row)
            row.purge_at, row.state_before = self._end(change, grace_seconds), row.state
            # A claim that was never proved holds nothing; a held name stays the tenant's until the end.
            row.state = "suspended" if row.state in HELD else "expired"
            return _audited_domain(change, "domain.delete", before, row)

    def restore_domain(self, actor: Actor, reference: str) -> DomainView:
        """Have a domain back in the state it was in. Raises NotFound, Conflict."""
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, reference)
            require_restorable("domain", row.name, row.purge_at, change.now)
            before = domain_view(row)
            row.state = row.state_before or row.state
            row.purge_at, row.state_before = None, None
            return _audited_domain(change, "domain.restore", before, row)

    def delete_workspace(self, actor: Actor, reference: str) -> WorkspaceView:
        """Take away a workspace without accounts, and the API keys limited to it; returns what it was.

        Raises NotFound, Conflict (it has accounts, it is the platform's default), Forbidden.
        """
        with self._writes.change(actor) as change:
            row = find_workspace(change.session, actor, reference)
            if not actor.spans_tenant or (row.tenant_id is None and not actor.is_operator):
                raise Forbidden("operator-only", f"{row.name} is not this caller's.", "Ask its owner.")
            require_empty(change.session, row)
            view = workspace_view(change.session, row)
            erase_workspace(change, row)
            change.result = payload(view)
            return view

    def delete_policy(self, actor: Actor, reference: str) -> PolicyView:
        """Take away a policy (or, as `plans/NAME`, a plan) that nobody uses; what it said stays in the audit.

        Returns what it was. Raises NotFound, Conflict (its users, by name), Forbidden.
        """
        with self._writes.change(actor) as change:
            kind, row = find_document(change.session, actor, reference)
            if not actor.is_operator:
                raise Forbidden("operator-only", "Policies are the operator's.", "Ask the operator.")
            require_unused(change.session, kind, row)
            view = policy_view(change.session, kind, row, row.version)
            change.session.delete(row)
            change.session.flush()
            before = payload(view)
            change.audit(f"{kind}.delete", kind, row.id, tenant_id=None, before=before, after=None)
            change.changed(kind, row.id)
            change.result = before
            return view

    def export_tenant(self, actor: Actor, reference: str) -> Iterator[dict[str, Any]]:
        """Everything that is kept of a tenant, without secrets, and its audit: to be had before it goes.

        Each document names its `resource` and has the fields of its view. Raises NotFound, Forbidden.
        """
        with self._writes.view() as session:
            row = find_tenant(session, actor, reference)
            if not actor.spans_tenant:
                raise Forbidden(
                    "tenant-wide", "An export is of the whole tenant.", "Use a key that is not limited."
                )
            tenant_id = row.id
        return exported(self._writes, tenant_id)

    def _end(self, change: ControlChange, asked: float | None) -> float:
        return end_of_grace(change.now, asked, self._settings.grace_seconds)


def _tenant(session: Session, actor: Actor, reference: str) -> TenantRow:
    row = find_tenant(session, actor, reference)
    if not actor.is_operator:
        raise Forbidden("operator-only", "Only the operator may do this.", "Ask the platform's operator.")
    if row.is_platform:
        raise Forbidden("platform-tenant", "The platform's own tenant stays.", "Stop the service instead.")
    return row


def _refuse_twice(kind: str, name: str, purge_at: float | None) -> None:
    if purge_at is not None:
        raise Conflict(
            f"{kind}-deleting", f"The {kind} {name} is being deleted.", "Restore it, or wait for its end."
        )


def _refuse_used(session: Session, row: DomainRow) -> None:
    addresses = sa.select(sa.func.count(AccountAddressRow.account_id.distinct())).join(
        AccountRow, AccountRow.id == AccountAddressRow.account_id
    )
    living = sa.and_(AccountAddressRow.domain_id == row.id, AccountRow.purge_at.is_(None))
    accounts = session.scalar(addresses.where(living)) or 0
    shards = session.scalars(
        sa.select(ShardRow.name).where(ShardRow.domain_id == row.id, ShardRow.state != "retired")
    ).all()
    if accounts:
        raise Conflict(
            "domain-in-use",
            f"{accounts} accounts have an address of {row.name}.",
            f"`gatepost account list --domain {row.name}` lists them; delete them, or remove the aliases.",
        )
    if shards:
        raise Conflict(
            "domain-in-use", f"Shards lie under {row.name}: {', '.join(shards)}.", "Retire them first."
        )


def _account(change: ControlChange, operation: str, before: AccountView, row: AccountRow) -> AccountView:
    row.updated_at = change.now
    change.session.flush()
    after = account_view(change.session, row)
    record(change, operation, "account", before, after, account_id=row.id)
    return after


def _audited_tenant(change: ControlChange, operation: str, before: TenantView, row: TenantRow) -> TenantView:
    row.updated_at = change.now
    change.session.flush()
    after = tenant_view(change.session, row)
    record(change, operation, "tenant", before, after)
    return after


def _audited_domain(change: ControlChange, operation: str, before: DomainView, row: DomainRow) -> DomainView:
    row.updated_at = change.now
    change.session.flush()
    after = domain_view(row)
    record(change, operation, "domain", before, after)
    return after
