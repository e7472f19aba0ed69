"""App passwords as people see them, never hash or tag, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.find import find_account
from gateway.control.accounts.model import AccountRow
from gateway.control.credentials.model import CredentialRow
from gateway.control.errors import Invalid
from gateway.control.filters import of_tenant
from gateway.control.lookup import shown
from gateway.control.paging import Listing
from gateway.control.records import Actor


@dataclass(frozen=True, slots=True)
class CredentialView:
    """An app password without its secret. `login` is its account's address.

    `id` is what commands take: its key id, or for one the caller chose, `credential_id`, which is every one's
    id in audit and sign-ins. `name` is its label, or its id. Times are seconds since 1970.
    """

    id: str
    name: str
    key_id: str | None
    credential_id: str
    tenant_id: str
    account_id: str
    login: str
    scopes: tuple[str, ...]
    label: str | None
    networks: tuple[str, ...]
    stream: str | None
    expires_at: float | None
    revoked_at: float | None
    client_id: str | None
    metadata: dict[str, str]
    created_at: float


def credential_view(session: Session, row: CredentialRow) -> CredentialView:
    """The view of a row."""
    return credential_views(session, [row])[0]


def credential_views(session: Session, rows: Sequence[CredentialRow]) -> list[CredentialView]:
    """The views of rows, in their order."""
    named = sa.select(AccountRow.id, AccountRow.address)
    accounts = session.execute(named.where(AccountRow.id.in_({row.account_id for row in rows})))
    logins = dict(accounts.all())
    return [_view(row, logins[row.account_id]) for row in rows]


def _view(row: CredentialRow, login: str) -> CredentialView:
    return CredentialView(
        id=row.key_id or row.id,
        name=row.label or row.key_id or row.id,
        key_id=row.key_id,
        credential_id=row.id,
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        login=login,
        scopes=tuple(sorted(row.scopes)),
        label=row.label,
        networks=tuple(row.networks),
        stream=row.stream,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
    )


def _of_account(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:
    return CredentialRow.account_id == find_account(session, actor, word).id


def _revoked(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:  # noqa: ARG001
    if word not in ("true", "false"):
        raise Invalid("bad-filter", f"{shown(word)} is no value for revoked.", "Give true or false.")
    return CredentialRow.revoked_at.is_not(None) if word == "true" else CredentialRow.revoked_at.is_(None)


LISTING = Listing(
    row=CredentialRow,
    views=credential_views,
    sorts={"created_at": CredentialRow.created_at},
    filters={
        "account": _of_account,
        "tenant": of_tenant(CredentialRow.tenant_id),
        "revoked": _revoked,
        "label": CredentialRow.label,
        "key_id": CredentialRow.key_id,
        "client_id": CredentialRow.client_id,
    },
)
