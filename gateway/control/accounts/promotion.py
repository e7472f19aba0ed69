"""Addresses that wait for a domain: given to their accounts when it becomes active.

An account that was made before its tenant's domain was proved has a trial address. The grant stays what it
is (id, passwords, mail); it gains the address of its own domain, and answers to the trial one as an alias.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow, PendingAddressRow
from gateway.control.accounts.view import account_view
from gateway.control.domains.model import HELD, DomainRow
from gateway.control.errors import Conflict
from gateway.control.recording import record
from gateway.control.transaction import ControlChange
from gateway.control.workspaces.assignment import assigned_workspace
from gateway.control.workspaces.model import WorkspaceRow
from gateway.control.workspaces.settling import counted_in, mark_move
from gateway.mail.address import Mailbox


@dataclass(frozen=True, slots=True)
class WaitingAddress:
    """An address that an account gets; `reason` says why not yet, where the domain is active."""

    grant_id: str
    address: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """What an active domain changed: the addresses that accounts have now, and those they still wait for."""

    domain: str
    promoted: tuple[WaitingAddress, ...]
    waiting: tuple[WaitingAddress, ...]


def await_address(change: ControlChange, account_id: str, domain: DomainRow, mailbox: Mailbox) -> None:
    """Let an account wait for an address of a domain that is not active yet. Raises Conflict."""
    waiting = sa.select(PendingAddressRow.id).where(
        PendingAddressRow.domain_id == domain.id, PendingAddressRow.key == mailbox.key
    )
    if _is_taken(change.session, domain, mailbox) or change.session.scalar(waiting) is not None:
        raise Conflict("address-taken", f"The address {mailbox} is taken.", "Choose another address.")
    change.add(
        PendingAddressRow(
            id=change.ids.uuid(),
            account_id=account_id,
            tenant_id=domain.tenant_id,
            environment=domain.environment,
            domain_id=domain.id,
            key=mailbox.key,
            address=str(mailbox),
            created_at=change.now,
        )
    )


def _is_taken(session: Session, domain: DomainRow, mailbox: Mailbox) -> bool:
    """Whether an account has the address for good: one that another tenant made on a mere claim is no bar."""
    found = session.get(AccountAddressRow, mailbox.key)
    if found is None or found.tenant_id == domain.tenant_id:
        return found is not None
    return session.get_one(DomainRow, found.domain_id).state in HELD


def promote_addresses(change: ControlChange, domain: DomainRow) -> Promotion:
    """Give accounts the addresses of a domain that is active now.

    One that something is in the way of waits on, with the reason; the others are not held up by it.
    """
    promoted, result = [], change.result
    for row in _rows(change.session, PendingAddressRow.domain_id == domain.id):
        account = change.session.get_one(AccountRow, row.account_id)
        reason = _obstacle(change.session, account, row)
        if reason is None:
            _give(change, account, domain, row)
            promoted.append(_shown(row))
        elif reason != row.reason:
            _refuse(change, account, row, reason)
    change.result = result  # the request was about the domain
    return Promotion(domain.name, tuple(promoted), waiting_for(change.session, domain.id))


def waiting_for(session: Session, domain_id: str) -> tuple[WaitingAddress, ...]:
    """The addresses that accounts get of a domain, oldest first."""
    return tuple(map(_shown, _rows(session, PendingAddressRow.domain_id == domain_id)))


def awaited_by(session: Session, account_id: str) -> tuple[PendingAddressRow, ...]:
    """The addresses that an account waits for, oldest first."""
    return _rows(session, PendingAddressRow.account_id == account_id)


def _rows(session: Session, condition: sa.ColumnElement[bool]) -> tuple[PendingAddressRow, ...]:
    statement = sa.select(PendingAddressRow).where(condition).order_by(PendingAddressRow.id)
    return tuple(session.scalars(statement))


def _shown(row: PendingAddressRow) -> WaitingAddress:
    return WaitingAddress(row.account_id, row.address, row.reason)


def _obstacle(session: Session, account: AccountRow, row: PendingAddressRow) -> str | None:
    if account.status == "deleting":
        return "the account is being deleted"
    found = session.get(AccountAddressRow, row.key)
    if found is not None and found.account_id != account.id:
        return "another account has this address"
    return None


def _give(change: ControlChange, account: AccountRow, domain: DomainRow, row: PendingAddressRow) -> None:
    """The address becomes the account's own, what was its own an alias."""
    session = change.session
    before = account_view(session, account)
    own = sa.select(AccountAddressRow).where(
        AccountAddressRow.account_id == account.id, AccountAddressRow.is_primary
    )
    old = session.scalars(own).one()
    old.is_primary, old.logs_in = False, True
    session.flush()
    found = session.get(AccountAddressRow, row.key)
    if found is None:
        found = AccountAddressRow(
            key=row.key,
            address=row.address,
            account_id=account.id,
            tenant_id=account.tenant_id,
            environment=account.environment,
            domain_id=domain.id,
            created_at=change.now,
        )
    found.is_primary = True
    account.address, account.updated_at = row.address, change.now
    _assign(change, account, domain)
    change.add(found)
    session.delete(row)
    session.flush()
    record(
        change, "account.promote", "account", before, account_view(session, account), account_id=account.id
    )


def _assign(change: ControlChange, account: AccountRow, domain: DomainRow) -> None:
    """Patterns speak of domains: one that chose itself a workspace chooses again under its new one."""
    if account.assignment != "auto":
        return
    session = change.session
    place = assigned_workspace(session, account.tenant_id, domain.name, account.environment)
    if place is not None:
        source = session.get_one(WorkspaceRow, account.workspace_id)
        mark_move(account, counted_in(source), place.location, change.now)
        account.workspace_id, account.workspace_owner = place.id, place.owner


def _refuse(change: ControlChange, account: AccountRow, row: PendingAddressRow, reason: str) -> None:
    row.reason = reason
    change.session.flush()
    view = account_view(change.session, account)
    waiting = {"address": row.address, "reason": reason}
    record(
        change, "account.promote-refused", "account", view, view, account_id=account.id, waiting_for=waiting
    )
