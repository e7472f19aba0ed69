"""Accounts as people see them, and how they are listed: a few queries a page, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import ASSIGNMENTS, STATUSES, AccountAddressRow, AccountRow
from gateway.control.directory.model import login_name
from gateway.control.domains.find import find_domain
from gateway.control.filters import among, in_environment, of_tenant, of_workspace
from gateway.control.paging import Listing
from gateway.control.records import Actor
from gateway.control.workspaces.model import WorkspaceRow


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account; `grant_id` is its id, `name` its address, `workspace` its workspace's name.

    `purge_at` is set while it is being deleted.
    """

    id: str
    grant_id: str
    name: str
    address: str
    aliases: tuple[str, ...]
    display_name: str | None
    tenant_id: str
    workspace_id: str
    workspace: str
    assignment: str
    environment: str
    status: str
    status_reason: str | None
    smtp: bool
    imap: bool
    home_location: str
    purge_at: float | None
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


def account_view(session: Session, row: AccountRow) -> AccountView:
    """The view of a row."""
    return account_views(session, [row])[0]


def account_views(session: Session, rows: Sequence[AccountRow]) -> list[AccountView]:
    """The views of rows, in their order."""
    aliases: dict[str, list[str]] = {}
    found = session.execute(
        sa.select(AccountAddressRow.account_id, AccountAddressRow.address)
        .where(AccountAddressRow.account_id.in_([row.id for row in rows]), ~AccountAddressRow.is_primary)
        .order_by(AccountAddressRow.key)
    )
    for account_id, address in found:
        aliases.setdefault(account_id, []).append(address)
    named = sa.select(WorkspaceRow.id, WorkspaceRow.name)
    used = {row.workspace_id for row in rows}
    workspaces = dict(session.execute(named.where(WorkspaceRow.id.in_(used))).all())
    return [_view(row, aliases.get(row.id, []), workspaces[row.workspace_id]) for row in rows]


def _view(row: AccountRow, aliases: Sequence[str], workspace: str) -> AccountView:
    return AccountView(
        id=row.id,
        grant_id=row.id,
        name=row.address,
        address=row.address,
        aliases=tuple(aliases),
        display_name=row.display_name,
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        workspace=workspace,
        assignment=row.assignment,
        environment=row.environment,
        status=row.status,
        status_reason=row.status_reason,
        smtp=row.smtp,
        imap=row.imap,
        home_location=row.home_location,
        purge_at=row.purge_at,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _in_domain(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:
    """Accounts with an address, or an alias, of the domain."""
    domain = find_domain(session, actor, word)
    # Said again of the tenant, and asked of each account: a page of many is then read off an index.
    addresses = sa.exists().where(
        AccountAddressRow.account_id == AccountRow.id, AccountAddressRow.domain_id == domain.id
    )
    return sa.and_(AccountRow.tenant_id == domain.tenant_id, addresses)


def _at_address(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:  # noqa: ARG001
    """The account with an address, its own or an alias, in any case."""
    addresses = sa.select(AccountAddressRow.account_id).where(AccountAddressRow.key == login_name(word))
    return AccountRow.id.in_(addresses)


LISTING = Listing(
    row=AccountRow,
    views=account_views,
    sorts={
        "created_at": AccountRow.created_at,
        "address": AccountRow.address,
        "updated_at": AccountRow.updated_at,
    },
    filters={
        "address": _at_address,
        "tenant": of_tenant(AccountRow.tenant_id),
        "workspace": of_workspace(AccountRow.workspace_id),
        "domain": _in_domain,
        "environment": in_environment(AccountRow.environment),
        "status": among(AccountRow.status, STATUSES, "status"),
        "assignment": among(AccountRow.assignment, ASSIGNMENTS, "assignment"),
        "smtp": AccountRow.smtp,
        "imap": AccountRow.imap,
        "client_id": AccountRow.client_id,
    },
)
