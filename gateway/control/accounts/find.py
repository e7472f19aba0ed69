"""Finding accounts by address, alias or grant id."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.directory.model import login_name
from gateway.control.errors import Invalid
from gateway.control.lookup import is_id, not_found
from gateway.control.records import Actor
from gateway.control.visibility import visible
from gateway.mail.address import AddressError, parse_mailbox

MOST_AT_ONCE = 500


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


def find_accounts(session: Session, actor: Actor, references: Sequence[str]) -> list[AccountRow]:
    """Several accounts by address, alias or grant id, each once, in the order given.

    Raises Invalid (none, or too many), NotFound naming the first that is not there.
    """
    if not 0 < len(references) <= MOST_AT_ONCE:
        raise Invalid(
            "bad-count",
            f"{len(references)} accounts were named.",
            f"Name 1 to {MOST_AT_ONCE} at once.",
        )
    keys = {reference: login_name(reference) for reference in references}
    addressed = sa.select(AccountAddressRow.key, AccountAddressRow.account_id)
    ids = dict(session.execute(addressed.where(AccountAddressRow.key.in_(set(keys.values())))).all())
    wanted = {ids.get(key, key) for key in keys.values()}
    rows = session.scalars(sa.select(AccountRow).where(AccountRow.id.in_(wanted), visible(actor, AccountRow)))
    by_id = {row.id: row for row in rows}
    for reference, key in keys.items():
        if ids.get(key, key) not in by_id:
            raise not_found("account", reference)
    return list({ids.get(key, key): by_id[ids.get(key, key)] for key in keys.values()}.values())
