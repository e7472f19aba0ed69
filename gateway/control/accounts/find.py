"""Finding accounts: one by address, alias or grant id."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.lookup import is_id, not_found
from gateway.control.records import Actor
from gateway.control.visibility import visible
from gateway.mail.address import AddressError, parse_mailbox


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
