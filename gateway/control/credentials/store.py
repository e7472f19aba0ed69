"""Queries on app passwords. Every one is told whose things it may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.credentials.format import is_key_id
from gateway.control.credentials.model import CredentialRow


@dataclass(frozen=True, slots=True)
class Live:
    """How many app passwords an account has that are not revoked, and how many of them were chosen."""

    total: int
    chosen: int


def find_account(session: Session, ref: str, key: str, visible: sa.ColumnElement[bool]) -> AccountRow | None:
    """The `visible` account with the grant id `ref` or the address (an alias too) compared as `key`."""
    by_address = sa.select(AccountAddressRow.account_id).where(AccountAddressRow.key == key)
    statement = sa.select(AccountRow).where(
        sa.or_(AccountRow.id == ref.lower(), AccountRow.id.in_(by_address)), visible
    )
    return session.scalars(statement).one_or_none()


def find_credential(session: Session, ref: str, visible: sa.ColumnElement[bool]) -> CredentialRow | None:
    """The `visible` app password with this key id or id, revoked or not."""
    column = CredentialRow.key_id if is_key_id(ref) else CredentialRow.id
    statement = sa.select(CredentialRow).where(column == ref, visible)
    return session.scalars(statement).one_or_none()


def of_account(session: Session, account_id: str, *, revoked: bool) -> Sequence[CredentialRow]:
    """An account's app passwords, oldest first; with `revoked` those that are no longer valid too."""
    statement = sa.select(CredentialRow).where(CredentialRow.account_id == account_id)
    if not revoked:
        statement = statement.where(CredentialRow.revoked_at.is_(None))
    return session.scalars(statement.order_by(CredentialRow.created_at, CredentialRow.id)).all()


def count_live(session: Session, account_id: str) -> Live:
    """How many an account has now."""
    total, chosen = session.execute(
        sa.select(sa.func.count(), sa.func.count(CredentialRow.tag)).where(
            CredentialRow.account_id == account_id, CredentialRow.revoked_at.is_(None)
        )
    ).one()
    return Live(total, chosen)


def has_tag(session: Session, account_id: str, tag: str) -> bool:
    """Whether a chosen password of the account that is not revoked has this tag."""
    statement = sa.select(CredentialRow.id).where(
        CredentialRow.account_id == account_id, CredentialRow.tag == tag, CredentialRow.revoked_at.is_(None)
    )
    return session.scalar(statement) is not None
