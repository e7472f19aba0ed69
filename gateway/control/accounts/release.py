"""Addresses on a claim that came to nothing: another tenant has proved the name, and all of it is its own.

A tenant may make accounts on a domain before that is proved. Whoever proves it must find no address taken:
the others' accounts stay (id, passwords, mail), answer to an address of their trial domain instead, and wait
for the one they had, in case the name becomes theirs after all.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow, PendingAddressRow
from gateway.control.accounts.view import account_view
from gateway.control.domains.model import DomainRow
from gateway.control.recording import record
from gateway.control.transaction import ControlChange
from gateway.mail.address import Mailbox, parse_mailbox

_LOST = "another tenant has proved the domain"


def release_addresses(change: ControlChange, held: DomainRow) -> int:
    """Take the addresses of a proved name from all other tenants, each audited; how many there were."""
    statement = (
        sa.select(AccountAddressRow)
        .join(DomainRow, DomainRow.id == AccountAddressRow.domain_id)
        .where(DomainRow.name == held.name, DomainRow.tenant_id != held.tenant_id)
        .order_by(AccountAddressRow.key)
    )
    rows, result = change.session.scalars(statement).all(), change.result
    for row in rows:
        _release(change, row)
    change.result = result  # the request was about the domain
    return len(rows)


def _release(change: ControlChange, row: AccountAddressRow) -> None:
    session = change.session
    account = session.get_one(AccountRow, row.account_id)
    before = account_view(session, account)
    session.delete(row)
    session.flush()
    if row.is_primary:
        _rename(change, account, row)
    account.updated_at = change.now
    session.flush()
    after, lost = account_view(session, account), {"address": row.address, "reason": _LOST}
    record(change, "account.release", "account", before, after, account_id=account.id, lost=lost)


def _rename(change: ControlChange, account: AccountRow, lost: AccountAddressRow) -> None:
    """Give the account an address that is its tenant's for sure, and let it wait for the one it had."""
    home, old = _trial_domain(change.session, account), parse_mailbox(lost.address, smtputf8=True)
    if home is None:
        # Nothing of the tenant's own is left to name it by: the id takes nobody's address.
        mailbox = Mailbox(account.id, old.domain_key)
        account.status, account.status_reason, account.suspended_at = "suspended", _LOST, change.now
    else:
        mailbox = _free(change.session, old.local, home, account)
    change.add(
        AccountAddressRow(
            key=mailbox.key,
            address=str(mailbox),
            account_id=account.id,
            tenant_id=account.tenant_id,
            environment=account.environment,
            domain_id=home.id if home is not None else lost.domain_id,
            is_primary=True,
            created_at=change.now,
        ),
        _waiting(change, account, lost),
    )
    account.address = str(mailbox)


def _free(session: Session, local: str, home: DomainRow, account: AccountRow) -> Mailbox:
    """The same local part below another domain, or the account's id where that is taken."""
    mailbox = Mailbox(local, home.name)
    return mailbox if session.get(AccountAddressRow, mailbox.key) is None else Mailbox(account.id, home.name)


def _waiting(change: ControlChange, account: AccountRow, lost: AccountAddressRow) -> PendingAddressRow:
    return PendingAddressRow(
        id=change.ids.uuid(),
        account_id=account.id,
        tenant_id=account.tenant_id,
        environment=account.environment,
        domain_id=lost.domain_id,
        key=lost.key,
        address=lost.address,
        reason=_LOST,
        created_at=change.now,
    )


def _trial_domain(session: Session, account: AccountRow) -> DomainRow | None:
    statement = sa.select(DomainRow).where(
        DomainRow.tenant_id == account.tenant_id,
        DomainRow.environment == account.environment,
        DomainRow.kind == "trial",
        DomainRow.purge_at.is_(None),
    )
    return session.scalars(statement.order_by(DomainRow.id).limit(1)).one_or_none()
