"""Who may see what: the one place where a caller's limits become conditions of queries.

    limit         tenants  workspaces, lists  accounts, passwords, raises  domains, shards, keys  audit
    tenant        its own  own and shared     the tenant's                 the tenant's           its own
    workspace     –        it; no list        those in it                  none                   none
    environment   all      of it; no list     of it                        of it                  none

Several limits hold together. What a caller may not see is not there for it.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from gateway.control.accounts.model import AccountRow
from gateway.control.audit.model import AuditEntryRow
from gateway.control.base import Base
from gateway.control.credentials.model import CredentialRow
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Forbidden
from gateway.control.keys.model import KeyRow
from gateway.control.lists.model import ListRow
from gateway.control.raises.model import RaiseRow
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
from gateway.control.tenants.model import TenantRow
from gateway.control.workspaces.model import SHARED, WorkspaceRow

Condition = sa.ColumnElement[bool]


def visible(actor: Actor, row_type: type[Base]) -> Condition:
    """The condition that keeps a query on `row_type` to what `actor` may see.

    A table that is not listed here is the operator's alone.
    """
    if actor.is_operator:
        return sa.true()
    limits = []
    if actor.tenant_id is not None:
        limits.append(_of_tenant(actor.tenant_id, row_type))
    if actor.workspace_id is not None:
        limits.append(_of_workspace(actor.workspace_id, row_type))
    if actor.environment is not None:
        limits.append(_of_environment(actor.environment, row_type))
    return sa.and_(*limits)


def operator_only(
    actor: Actor, detail: str = "Only the operator may do this.", fix: str = "Ask the platform's operator."
) -> None:
    """Raises Forbidden for a caller limited to a part of the installation."""
    if not actor.is_operator:
        raise Forbidden("operator-only", detail, fix)


def _of_tenant(tenant_id: str, row_type: type[Base]) -> Condition:
    if row_type is TenantRow:
        return TenantRow.id == tenant_id
    if row_type is WorkspaceRow:
        return WorkspaceRow.owner.in_([tenant_id, SHARED])
    if row_type is ListRow:
        return ListRow.owner.in_([tenant_id, SHARED])
    column: Any = getattr(row_type, "tenant_id", None)
    return column == tenant_id if column is not None else sa.false()


def _of_workspace(workspace_id: str, row_type: type[Base]) -> Condition:
    if row_type is WorkspaceRow:
        return WorkspaceRow.id == workspace_id
    if row_type is AccountRow:
        return AccountRow.workspace_id == workspace_id
    if row_type in (CredentialRow, RaiseRow):
        column: Any = row_type.account_id
        return cast("Condition", column.in_(_accounts(AccountRow.workspace_id == workspace_id)))
    if row_type is TenantRow:
        # Its owner, if it has one: a new account names the tenant.
        return TenantRow.id.in_(sa.select(WorkspaceRow.tenant_id).where(WorkspaceRow.id == workspace_id))
    return sa.false()


def _accounts(condition: Condition) -> sa.Select[str]:
    return sa.select(AccountRow.id).where(condition)


def _of_environment(environment: str, row_type: type[Base]) -> Condition:
    if row_type is TenantRow:
        return sa.true()
    if row_type is AuditEntryRow:
        return sa.false()
    if row_type in (CredentialRow, RaiseRow):
        owner: Any = row_type.account_id
        return cast("Condition", owner.in_(_accounts(AccountRow.environment == environment)))
    if row_type is KeyRow:
        return sa.or_(
            KeyRow.domain_id.in_(sa.select(DomainRow.id).where(DomainRow.environment == environment)),
            KeyRow.shard_id.in_(sa.select(ShardRow.id).where(ShardRow.environment == environment)),
        )
    column: Any = getattr(row_type, "environment", None)
    return column == environment if column is not None else sa.false()
