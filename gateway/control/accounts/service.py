"""Accounts: one mail identity each, in one workspace, with the protocols that were switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from gateway.control.accounts.addresses import address_row, domain_of, parse_address, refuse_taken
from gateway.control.accounts.find import find_account, find_accounts
from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.accounts.moves import MoveResult, assigned_destinations, move, named_destinations
from gateway.control.accounts.placement import place_again, place_for
from gateway.control.accounts.view import LISTING, AccountView, account_view, account_views
from gateway.control.clientids import set_client_id
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict, Invalid, NotFound
from gateway.control.lookup import clean_metadata, clean_reason, shown
from gateway.control.paging import Page, PageQuery, in_parts, read_page
from gateway.control.recording import record
from gateway.control.records import Actor
from gateway.control.tenants.find import changeable_tenant, find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import operator_only, visible
from gateway.control.workspaces.find import find_workspace
from gateway.control.workspaces.model import WorkspaceRow
from gateway.mail.address import Mailbox

_MOST_ALIASES = 100
_LONGEST_NAME = 200


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
        assigned_as: str | None = None,
    ) -> AccountView:
        """Make an account; its domain must be the tenant's, its workspace of the domain's environment.

        Without `workspace` it goes where patterns and defaults say, and follows them later; `assigned_as` is
        the domain that patterns are asked about if it is to be another one soon. Raises Invalid, NotFound,
        Conflict (the address is taken; environments would mix).
        """
        mailbox, others = parse_address(address), [parse_address(alias) for alias in aliases]
        name, pairs = _display_name(display_name), clean_metadata(metadata)
        named = workspace or actor.workspace_id
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant)
            domain = domain_of(change.session, owner, mailbox)
            place = place_for(change.session, actor, owner, domain, named, assigned_as)
            row = _row(change, mailbox, domain, place, "auto" if named is None else "explicit")
            row.smtp, row.imap, row.display_name, row.metadata_ = smtp, imap, name, pairs
            set_client_id(change.session, row, client_id)
            refuse_taken(change.session, mailbox)
            change.add(row, address_row(change, row, domain, mailbox, primary=True))
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
        reason: str | None = None,
        smtp: bool | None = None,
        imap: bool | None = None,
        display_name: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AccountView:
        """Change what is given, leave what is None; `auto` lets patterns and defaults choose again.

        `workspace` moves the account (its counters and its mail go with it); one of another environment is
        refused. `reason` is why it is suspended. An empty `display_name` or `client_id` takes it away.
        Raises NotFound, Invalid, Conflict.
        """
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            before = account_view(change.session, row)
            if workspace is not None or auto:
                place_again(change, actor, row, None if auto else workspace)
            if suspended is not None:
                _suspend(change, row, suspended, reason)
            row.smtp = row.smtp if smtp is None else smtp
            row.imap = row.imap if imap is None else imap
            if display_name is not None:
                row.display_name = _display_name(display_name)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return _audited(change, "account.update", before, row)

    def move(
        self,
        actor: Actor,
        references: Sequence[str],
        *,
        workspace: str | None = None,
        auto: bool = False,
        dry_run: bool = False,
    ) -> MoveResult:
        """Move up to 500 accounts, all or none, into a workspace or (`auto`) where patterns and defaults say.

        Tells for each what changes; a dry run only tells. Raises Invalid, NotFound, Conflict (another
        environment's workspace), Forbidden.
        """
        if (workspace is None) != auto:
            raise Invalid(
                "no-destination", "It is not said where to.", "Name a workspace, or say auto: one of the two."
            )
        opened = self._writes.rehearsal(actor) if dry_run else self._writes.change(actor)
        with opened as change:
            rows = find_accounts(change.session, actor, references)
            if workspace is not None:
                wanted = named_destinations(change.session, actor, rows, workspace)
            else:
                wanted = assigned_destinations(change.session, actor, rows)
            return move(change, wanted, dry_run=dry_run)

    def suspend(self, actor: Actor, reference: str, *, reason: str | None = None) -> AccountView:
        """Stop an account's logins; its mail stays. Raises NotFound, Conflict, Forbidden.

        What the operator suspended only the operator resumes.
        """
        return self.update(actor, reference, suspended=True, reason=reason)

    def resume(self, actor: Actor, reference: str) -> AccountView:
        """Let a suspended account log in again. Raises NotFound, Conflict, Forbidden."""
        return self.update(actor, reference, suspended=False)

    def add_alias(self, actor: Actor, reference: str, alias: str) -> AccountView:
        """Give an account a further address, of a domain of its tenant and environment.

        Raises NotFound, Invalid, Conflict.
        """
        mailbox = parse_address(alias)
        with self._writes.change(actor) as change:
            row = find_account(change.session, actor, reference)
            before = account_view(change.session, row)
            owner = change.session.get_one(TenantRow, row.tenant_id)
            self._add_alias(change, owner, row, mailbox)
            return _audited(change, "account.alias.add", before, row)

    def remove_alias(self, actor: Actor, reference: str, alias: str) -> AccountView:
        """Take an alias from an account. Raises NotFound, Invalid."""
        mailbox = parse_address(alias)
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

    def page(self, actor: Actor, query: PageQuery) -> Page[AccountView]:
        """A page of the accounts the caller may see.

        Filters: address, tenant, workspace, domain, environment, status, assignment, smtp, imap, client_id,
        metadata.KEY. Sorts: created_at, address, updated_at. Raises Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, AccountRow))

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
            return in_parts(session, rows, account_views)

    def show(self, actor: Actor, reference: str) -> AccountView:
        """One account by address (an alias will do) or grant id. Raises NotFound."""
        with self._writes.view() as session:
            return account_view(session, find_account(session, actor, reference))

    def _add_alias(self, change: ControlChange, owner: TenantRow, row: AccountRow, mailbox: Mailbox) -> None:
        domain = domain_of(change.session, owner, mailbox)
        if domain.environment != row.environment:
            raise Conflict(
                "environment-differs",
                f"{domain.name} is of environment {domain.environment}, {row.address} of {row.environment}.",
                "Environments never mix: use a domain of the account's environment.",
            )
        refuse_taken(change.session, mailbox)
        count = sa.select(sa.func.count()).where(AccountAddressRow.account_id == row.id)
        if (change.session.scalar(count) or 0) > _MOST_ALIASES:
            raise Conflict(
                "too-many-aliases", f"{row.address} has {_MOST_ALIASES} aliases.", "Remove one first."
            )
        change.add(address_row(change, row, domain, mailbox, primary=False))


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


def _suspend(change: ControlChange, row: AccountRow, suspended: bool, reason: str | None) -> None:
    if row.status == "deleting":
        fix = f"`gatepost account restore {row.address}` first."
        raise Conflict("account-deleting", f"{row.address} is being deleted.", fix)
    if row.stopped_by_operator:
        operator_only(change.actor, f"The operator has suspended {row.address}.")
    row.stopped_by_operator = suspended and change.actor.is_operator
    row.status = "suspended" if suspended else "active"
    row.status_reason = clean_reason(reason) if suspended else None
    row.suspended_at = change.now if suspended else None


def _audited(
    change: ControlChange, operation: str, before: AccountView | None, row: AccountRow
) -> AccountView:
    row.updated_at = change.now
    change.session.flush()
    after = account_view(change.session, row)
    record(change, operation, "account", before, after, account_id=row.id)
    return after
