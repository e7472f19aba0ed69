"""Accounts: one mail identity each, in one workspace, with the protocols that were switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.lookup import clean_metadata, is_id, not_found, shown
from gateway.control.recording import record
from gateway.control.records import Actor
from gateway.control.tenants.find import changeable_tenant, find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.assignment import assigned_workspace
from gateway.control.workspaces.model import WorkspaceRow
from gateway.control.workspaces.service import find_workspace
from gateway.mail.address import AddressError, Mailbox, parse_mailbox

_MOST_ALIASES = 100
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account; `grant_id` is its id, `name` its address, `workspace` its workspace's name."""

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
    smtp: bool
    imap: bool
    home_location: str
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


class AccountService:
    """Rules and transactions of accounts."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def create(
        self,
        actor: Actor,
        address: str,
        *,
        tenant: str,
        workspace: str | None = None,
        smtp: bool = False,
        imap: bool = False,
        display_name: str | None = None,
        aliases: Sequence[str] = (),
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AccountView:
        """Make an account; its domain must be the tenant's, its workspace of the domain's environment.

        Without `workspace` it goes where patterns and defaults say, and follows them later. Raises Invalid,
        NotFound, Conflict (the address is taken; environments would mix).
        """
        mailbox, others = _mailbox(address), [_mailbox(alias) for alias in aliases]
        name, pairs = _display_name(display_name), clean_metadata(metadata)
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant)
            domain = _domain(change.session, owner, mailbox)
            place = _place(change.session, actor, owner, domain, workspace or actor.workspace_id)
            row = _row(change, mailbox, domain, place, "auto" if workspace is None else "explicit")
            row.smtp, row.imap, row.display_name = smtp, imap, name
            row.client_id, row.metadata_ = client_id, pairs
            _refuse_taken(change.session, mailbox)
            change.add(row, _address_row(change, row, domain, mailbox, primary=True))
            for other in others:
                self._add_alias(change, owner, row, other)
            return _audited(change, "account.create", None, row)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        workspace: str | None = None,
        auto: bool = False,
        suspended: bool | None = None,
        smtp: bool | None = None,
        imap: bool | None = None,
        display_name: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AccountView:
        """Change what is given, leave what is None; `auto` lets patterns and defaults choose again.

        `workspace` moves the account (its counters and its mail go with it); one of another environment is
        refused. Raises NotFound, Invalid, Conflict.
        """
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            before = account_view(change.session, row)
            if workspace is not None or auto:
                _move(change.session, actor, row, None if auto else workspace)
            _suspend(row, suspended)
            row.smtp = row.smtp if smtp is None else smtp
            row.imap = row.imap if imap is None else imap
            if display_name is not None:
                row.display_name = _display_name(display_name)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata)
            return _audited(change, "account.update", before, row)

    def suspend(self, actor: Actor, reference: str) -> AccountView:
        """Stop an account's logins; its mail stays. Raises NotFound."""
        return self.update(actor, reference, suspended=True)

    def resume(self, actor: Actor, reference: str) -> AccountView:
        """Let a suspended account log in again. Raises NotFound."""
        return self.update(actor, reference, suspended=False)

    def add_alias(self, actor: Actor, reference: str, alias: str) -> AccountView:
        """Give an account a further address, of a domain of its tenant and environment.

        Raises NotFound, Invalid, Conflict.
        """
        mailbox = _mailbox(alias)
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            before = account_view(change.session, row)
            owner = change.session.get_one(TenantRow, row.tenant_id)
            self._add_alias(change, owner, row, mailbox)
            return _audited(change, "account.alias.add", before, row)

    def remove_alias(self, actor: Actor, reference: str, alias: str) -> AccountView:
        """Take an alias from an account. Raises NotFound, Invalid."""
        mailbox = _mailbox(alias)
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            before = account_view(change.session, row)
            found = change.session.get(AccountAddressRow, mailbox.key)
            if found is None or found.account_id != row.id or found.is_primary:
                raise NotFound(
                    "alias-not-found",
                    f"{row.address} has no alias {shown(alias)}.",
                    f"`gatepost account show {row.address}` shows its aliases.",
                )
            change.session.delete(found)
            return _audited(change, "account.alias.remove", before, row)

    def list(
        self,
        actor: Actor,
        *,
        tenant: str | None = None,
        workspace: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[AccountView, ...]:
        """Accounts, oldest first; of a tenant, a workspace if given; `after` an id, at most `limit`.

        Raises NotFound.
        """
        with self._writes.view() as session:
            statement = sa.select(AccountRow).where(visible(actor, AccountRow))
            if tenant is not None:
                statement = statement.where(AccountRow.tenant_id == find_tenant(session, actor, tenant).id)
            if workspace is not None:
                place = find_workspace(session, actor, workspace)
                statement = statement.where(AccountRow.workspace_id == place.id)
            if after is not None:
                statement = statement.where(AccountRow.id > after)
            rows = session.scalars(statement.order_by(AccountRow.id).limit(limit)).all()
            return tuple(account_view(session, row) for row in rows)

    def show(self, actor: Actor, reference: str) -> AccountView:
        """One account by address (an alias will do) or grant id. Raises NotFound."""
        with self._writes.view() as session:
            return account_view(session, find_account(session, actor, reference))

    def _add_alias(self, change: ControlChange, owner: TenantRow, row: AccountRow, mailbox: Mailbox) -> None:
        domain = _domain(change.session, owner, mailbox)
        if domain.environment != row.environment:
            raise Conflict(
                "environment-differs",
                f"{domain.name} is of environment {domain.environment}, {row.address} of {row.environment}.",
                "Environments never mix: use a domain of the account's environment.",
            )
        _refuse_taken(change.session, mailbox)
        count = sa.select(sa.func.count()).where(AccountAddressRow.account_id == row.id)
        if (change.session.scalar(count) or 0) > _MOST_ALIASES:
            raise Conflict(
                "too-many-aliases", f"{row.address} has {_MOST_ALIASES} aliases.", "Remove one first."
            )
        change.add(_address_row(change, row, domain, mailbox, primary=False))


def find_account(session: Session, actor: Actor, reference: str) -> AccountRow:
    """An account by address, alias or grant id. Raises NotFound."""
    statement = sa.select(AccountRow).where(visible(actor, AccountRow))
    if is_id(reference):
        statement = statement.where(AccountRow.id == reference.lower())
    else:
        try:
            key = parse_mailbox(reference, smtputf8=True).key
        except AddressError:
            raise not_found("account", reference) from None
        statement = statement.join(AccountAddressRow, AccountAddressRow.account_id == AccountRow.id)
        statement = statement.where(AccountAddressRow.key == key)
    row = session.scalars(statement).one_or_none()
    if row is None:
        raise not_found("account", reference)
    return row


def account_view(session: Session, row: AccountRow) -> AccountView:
    """The view of a row."""
    aliases = session.scalars(
        sa.select(AccountAddressRow.address)
        .where(AccountAddressRow.account_id == row.id, sa.not_(AccountAddressRow.is_primary))
        .order_by(AccountAddressRow.key)
    )
    return AccountView(
        id=row.id,
        grant_id=row.id,
        name=row.address,
        address=row.address,
        aliases=tuple(aliases),
        display_name=row.display_name,
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        workspace=session.get_one(WorkspaceRow, row.workspace_id).name,
        assignment=row.assignment,
        environment=row.environment,
        status=row.status,
        smtp=row.smtp,
        imap=row.imap,
        home_location=row.home_location,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _mailbox(text: str) -> Mailbox:
    try:
        mailbox = parse_mailbox(text, smtputf8=True)
    except AddressError as error:
        raise Invalid(
            "bad-address", f"{shown(text)} is no address: {error}.", "Give one such as bob@acme.com."
        ) from None
    if mailbox.is_literal:
        raise Invalid(
            "bad-address", f"{shown(text)} names a machine, not a domain.", "Use the tenant's domain."
        )
    return mailbox


def _display_name(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if len(text) > _LONGEST_NAME or not text.isprintable():
        raise Invalid(
            "bad-display-name",
            "The display name does not fit.",
            f"Use at most {_LONGEST_NAME} printable characters.",
        )
    return text.strip()


def _domain(session: Session, owner: TenantRow, mailbox: Mailbox) -> DomainRow:
    name = mailbox.domain_key
    row = session.scalars(
        sa.select(DomainRow).where(DomainRow.tenant_id == owner.id, DomainRow.name == name)
    ).one_or_none()
    if row is None or row.state == "expired":
        raise NotFound(
            "domain-not-found",
            f"The tenant {owner.name} has no domain {shown(name)}.",
            f"`gatepost domain add {name} --tenant ...` adds it; `gatepost domain list` shows the tenant's.",
        )
    return row


def _row(
    change: ControlChange, mailbox: Mailbox, domain: DomainRow, place: WorkspaceRow, assignment: str
) -> AccountRow:
    """A new account with everything off."""
    return AccountRow(
        id=change.ids.uuid(),
        tenant_id=domain.tenant_id,
        workspace_id=place.id,
        workspace_owner=place.owner,
        environment=domain.environment,
        assignment=assignment,
        address=str(mailbox),
        status="active",
        smtp=False,
        imap=False,
        epoch=1,
        home_location=place.location,
        metadata_={},
        created_at=change.now,
        updated_at=change.now,
    )


def _place(
    session: Session, actor: Actor, owner: TenantRow, domain: DomainRow, workspace: str | None
) -> WorkspaceRow:
    """The workspace for an account of this domain. Raises NotFound, Conflict, Forbidden."""
    if workspace is None:
        found = assigned_workspace(session, owner.id, domain.name, domain.environment)
        if found is None:
            raise Conflict(
                "no-default-workspace",
                f"There is no default workspace of the environment {domain.environment}.",
                "Name a workspace, or make one with --default.",
            )
        return _within(actor, found)
    row = find_workspace(session, actor, workspace, tenant_id=owner.id)
    if row.environment != domain.environment:
        raise Conflict(
            "environment-differs",
            f"{domain.name} is of environment {domain.environment}, {row.name} of {row.environment}.",
            f"Environments never mix: choose a workspace of {domain.environment}, or an account of a domain "
            f"that was added with --environment {row.environment}.",
        )
    return _within(actor, row)


def _within(actor: Actor, place: WorkspaceRow) -> WorkspaceRow:
    """The workspace, if the caller's limits include it: what goes elsewhere is no longer its own."""
    if actor.workspace_id in (None, place.id) and actor.environment in (None, place.environment):
        return place
    raise Forbidden(
        "beyond-limits",
        f"The account would belong into {place.name} ({place.environment}), which is beyond this caller.",
        "Name a workspace that the caller is limited to, or use a key with wider limits.",
    )


def _move(session: Session, actor: Actor, row: AccountRow, workspace: str | None) -> None:
    owner = session.get_one(TenantRow, row.tenant_id)
    domain = session.scalars(
        sa.select(DomainRow)
        .join(AccountAddressRow, AccountAddressRow.domain_id == DomainRow.id)
        .where(AccountAddressRow.account_id == row.id, AccountAddressRow.is_primary)
    ).one()
    place = _place(session, actor, owner, domain, workspace)
    row.workspace_id, row.workspace_owner = place.id, place.owner
    row.assignment = "auto" if workspace is None else "explicit"


def _suspend(row: AccountRow, suspended: bool | None) -> None:
    if suspended is None:
        return
    if row.status == "deleting":
        raise Conflict("account-deleting", f"{row.address} is being deleted.", "Restore it first.")
    row.status = "suspended" if suspended else "active"


def _refuse_taken(session: Session, mailbox: Mailbox) -> None:
    if session.get(AccountAddressRow, mailbox.key) is not None:
        raise Conflict("address-taken", f"The address {mailbox} is taken.", "Choose another address.")


def _address_row(
    change: ControlChange, row: AccountRow, domain: DomainRow, mailbox: Mailbox, *, primary: bool
) -> AccountAddressRow:
    return AccountAddressRow(
        key=mailbox.key,
        address=str(mailbox),
        account_id=row.id,
        tenant_id=row.tenant_id,
        environment=row.environment,
        domain_id=domain.id,
        is_primary=primary,
        created_at=change.now,
    )


def _audited(
    change: ControlChange, operation: str, before: AccountView | None, row: AccountRow
) -> AccountView:
    row.updated_at = change.now
    change.session.flush()
    after = account_view(change.session, row)
    record(change, operation, "account", before, after, account_id=row.id)
    return after
