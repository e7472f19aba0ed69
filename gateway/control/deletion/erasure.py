"""Taking rows away for good, each thing with its audit entry, children before parents."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow, PendingAddressRow
from gateway.control.accounts.view import account_view
from gateway.control.apikeys.model import ApiKeyRow
from gateway.control.credentials.model import CredentialRow
from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import domain_view
from gateway.control.keys.model import KeyRow
from gateway.control.lists.model import ListItemRow, ListRow
from gateway.control.raises.model import RaiseRow
from gateway.control.recording import View, payload
from gateway.control.shards.model import ShardRow
from gateway.control.shards.view import shard_view
from gateway.control.tenants.model import TenantRow
from gateway.control.tenants.view import tenant_view
from gateway.control.transaction import ControlChange, Payload
from gateway.control.webhooks.model import WebhookRow, WebhookSecretRow
from gateway.control.workspaces.model import WorkspacePatternRow, WorkspaceRow
from gateway.control.workspaces.view import workspace_view


def erase_account(change: ControlChange, row: AccountRow) -> str:
    """Take an account away with its passwords and addresses; returns its address, which is free now."""
    view = account_view(change.session, row)
    for table in (CredentialRow, RaiseRow):
        _forget(change, table, table.account_id == row.id)
    for addresses in (PendingAddressRow, AccountAddressRow):
        change.session.execute(sa.delete(addresses).where(addresses.account_id == row.id))
    _erase(change, "account", row, view, account_id=row.id)
    return view.address


def is_needed(session: Session, row: DomainRow) -> bool:
    """Whether an account still has, or waits for, an address of a domain, or a shard in use lies under it."""
    needs = (
        sa.select(AccountAddressRow.key).where(AccountAddressRow.domain_id == row.id),
        sa.select(PendingAddressRow.id).where(PendingAddressRow.domain_id == row.id),
        sa.select(ShardRow.id).where(ShardRow.domain_id == row.id, ShardRow.state != "retired"),
    )
    return any(session.scalar(one.limit(1)) is not None for one in needs)


def erase_domain(change: ControlChange, row: DomainRow) -> None:
    """Destroy a domain's keys, take away retired shards under it, and free its name."""
    session = change.session
    for shard in session.scalars(sa.select(ShardRow).where(ShardRow.domain_id == row.id)).all():
        _erase_shard(change, shard)
    _destroy_keys(change, KeyRow.domain_id == row.id)
    _erase(change, "domain", row, domain_view(row))


def erase_tenant(change: ControlChange, row: TenantRow) -> None:
    """Take away all that is left of a tenant without accounts, and itself."""
    session, view = change.session, tenant_view(change.session, row)
    _destroy_keys(change, KeyRow.tenant_id == row.id)
    for shard in session.scalars(sa.select(ShardRow).where(ShardRow.tenant_id == row.id)).all():
        _erase_shard(change, shard)
    for domain in session.scalars(sa.select(DomainRow).where(DomainRow.tenant_id == row.id)).all():
        _erase(change, "domain", domain, domain_view(domain))
    lists = sa.select(ListRow.id).where(ListRow.tenant_id == row.id)
    session.execute(sa.delete(ListItemRow).where(ListItemRow.list_id.in_(lists)))
    _forget(change, ListRow, ListRow.tenant_id == row.id)
    _forget(change, RaiseRow, RaiseRow.tenant_id == row.id)
    _forget(change, ApiKeyRow, ApiKeyRow.tenant_id == row.id)
    _forget_webhooks(change, WebhookRow.tenant_id == row.id)
    for workspace in session.scalars(sa.select(WorkspaceRow).where(WorkspaceRow.tenant_id == row.id)).all():
        erase_workspace(change, workspace)
    _erase(change, "tenant", row, view)


def erase_workspace(change: ControlChange, row: WorkspaceRow) -> None:
    """Take away a workspace without accounts, with its patterns and the API keys limited to it."""
    view = workspace_view(change.session, row)
    _forget(change, ApiKeyRow, ApiKeyRow.workspace_id == row.id)
    _forget_webhooks(change, WebhookRow.workspace_id == row.id)
    patterns = sa.delete(WorkspacePatternRow).where(WorkspacePatternRow.workspace_id == row.id)
    change.session.execute(patterns)
    _erase(change, "workspace", row, view)


def _erase_shard(change: ControlChange, row: ShardRow) -> None:
    _destroy_keys(change, KeyRow.shard_id == row.id)
    _erase(change, "shard", row, shard_view(change.session, row))


def _destroy_keys(change: ControlChange, which: sa.ColumnElement[bool]) -> None:
    """Overwrite the private halves before the rows go: what is freed in a file is not wiped."""
    for key in change.session.scalars(sa.select(KeyRow).where(which)).all():
        before: Payload = {"domain": key.domain, "selector": key.selector, "state": key.state}
        key.sealed, key.state, key.ended_at = b"", "destroyed", change.now
        change.session.flush()
        change.audit(
            "dkim-key.destroy",
            "key",
            key.id,
            tenant_id=key.tenant_id,
            before=before,
            after={**before, "state": "destroyed"},
        )
        change.session.delete(key)
        change.changed("key", key.id, tenant_id=key.tenant_id)
    change.session.flush()


_KINDS = {
    CredentialRow: "credential",
    RaiseRow: "raise",
    ListRow: "list",
    ApiKeyRow: "api-key",
    WebhookRow: "webhook",
}


def _forget_webhooks(change: ControlChange, which: sa.ColumnElement[bool]) -> None:
    hooks = sa.select(WebhookRow.id).where(which)
    change.session.execute(sa.delete(WebhookSecretRow).where(WebhookSecretRow.webhook_id.in_(hooks)))
    _forget(change, WebhookRow, which)


def _forget(change: ControlChange, table: Any, which: sa.ColumnElement[bool]) -> None:
    """Delete rows whose own history the audit has; every process forgets them."""
    columns = sa.select(table.id, table.tenant_id).where(which)
    for row in change.session.execute(columns).all():
        change.changed(_KINDS[table], row.id, tenant_id=row.tenant_id)
    change.session.execute(sa.delete(table).where(which))


def _erase(change: ControlChange, kind: str, row: Any, view: View, *, account_id: str | None = None) -> None:
    change.session.delete(row)
    change.session.flush()
    change.audit(f"{kind}.erase", kind, view.id, tenant_id=view.tenant_id, before=payload(view), after=None)
    change.changed(kind, view.id, tenant_id=view.tenant_id, account_id=account_id)
