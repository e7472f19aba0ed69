"""The addresses of accounts: their form, whose domain they are of, that each is one account's."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.domains.model import HELD, DomainRow
from gateway.control.errors import Conflict, Invalid, NotFound
from gateway.control.lookup import shown
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange
from gateway.mail.address import AddressError, Mailbox, parse_mailbox


def parse_address(text: str) -> Mailbox:
    """An address of a domain, as a caller wrote it. Raises Invalid."""
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


def domain_of(session: Session, owner: TenantRow, mailbox: Mailbox) -> DomainRow:
    """The tenant's domain that an address is of. Raises NotFound, Conflict (another tenant has proved it)."""
    name = mailbox.domain_key
    row = session.scalars(
        sa.select(DomainRow).where(DomainRow.tenant_id == owner.id, DomainRow.name == name)
    ).one_or_none()
    if row is None or row.state == "expired" or row.purge_at is not None:
        raise NotFound(
            "domain-not-found",
            f"The tenant {owner.name} has no domain {shown(name)}.",
            f"`gatepost domain add {name} --tenant ...` adds it; `gatepost domain list` shows the tenant's.",
        )
    if row.state not in HELD and held_by_another(session, row):
        raise Conflict(
            "domain-held",
            f"{shown(name)} belongs to another tenant, which has proved it.",
            "Choose an address of a domain that the tenant owns.",
        )
    return row


def held_by_another(session: Session, claim: DomainRow) -> bool:
    """Whether another tenant than the claim's has proved its name."""
    other = sa.select(DomainRow.id).where(
        DomainRow.name == claim.name, DomainRow.state.in_(HELD), DomainRow.tenant_id != claim.tenant_id
    )
    return session.scalar(other.limit(1)) is not None


def refuse_taken(session: Session, mailbox: Mailbox) -> None:
    """Raises Conflict if any account has the address."""
    if session.get(AccountAddressRow, mailbox.key) is not None:
        raise Conflict("address-taken", f"The address {mailbox} is taken.", "Choose another address.")


def address_row(
    change: ControlChange, row: AccountRow, domain: DomainRow, mailbox: Mailbox, *, primary: bool
) -> AccountAddressRow:
    """A row that gives an account an address."""
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


def primary_domain(session: Session, row: AccountRow) -> DomainRow:
    """The domain of an account's own address."""
    return session.scalars(
        sa.select(DomainRow)
        .join(AccountAddressRow, AccountAddressRow.domain_id == DomainRow.id)
        .where(AccountAddressRow.account_id == row.id, AccountAddressRow.is_primary)
    ).one()
