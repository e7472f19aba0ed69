"""The table of app passwords: hashes only."""

from __future__ import annotations

from sys import intern
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time
from gateway.control.records import CredentialRecord

# Every process keeps a hundred thousand accounts in memory: what they have in common is there once.
_SCOPES = {tuple(scopes): frozenset(scopes) for scopes in (["imap"], ["smtp"], ["imap", "smtp"])}


class CredentialRow(Base):
    """An app password of an account; revoked ones stay, for the account's history."""

    __tablename__ = "credentials"
    __table_args__ = (
        sa.ForeignKeyConstraint(["account_id", "tenant_id"], ["accounts.id", "accounts.tenant_id"]),
        sa.CheckConstraint("(key_id IS NULL) <> (tag IS NULL)", name="one_name"),
        sa.UniqueConstraint("key_id"),
        sa.Index("ix_credentials_account_id_revoked_at", "account_id", "revoked_at"),
        sa.Index("ix_credentials_created_at_id", "created_at", "id"),
        sa.Index("ix_credentials_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        sa.Index("uq_credentials_tenant_id_client_id", "tenant_id", "client_id", unique=True),
        # Two live passwords under one tag would cost a login two argon2 runs.
        sa.Index(
            "uq_credentials_account_id_tag",
            "account_id",
            "tag",
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    tenant_id: Mapped[str]
    account_id: Mapped[str]
    key_id: Mapped[str | None]
    tag: Mapped[str | None]
    hash: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    label: Mapped[str | None]
    expires_at: Mapped[OptionalTime]
    networks: Mapped[list[str]] = mapped_column(sa.JSON)
    stream: Mapped[str | None]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata] = mapped_column(sa.JSON, default=dict)
    created_at: Mapped[Time]
    revoked_at: Mapped[OptionalTime]


def credential_record(row: CredentialRow | sa.Row[*tuple[Any, ...]]) -> CredentialRecord:
    """The row as the data plane sees it."""
    return CredentialRecord(
        id=row.id,
        account_id=row.account_id,
        tenant_id=intern(row.tenant_id),
        key_id=row.key_id,
        tag=row.tag,
        hash=row.hash,
        scopes=_SCOPES.get(tuple(row.scopes)) or frozenset(row.scopes),
        label=row.label,
        expires_at=row.expires_at,
        networks=tuple(row.networks),
        stream=row.stream,
        revoked_at=row.revoked_at,
        created_at=row.created_at,
    )
