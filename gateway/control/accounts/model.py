"""The tables of accounts, of the addresses they answer to, and of those they wait for."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of
from gateway.control.records import ENVIRONMENTS

STATUSES = ("active", "suspended", "deleting")
ASSIGNMENTS = ("auto", "explicit")


class AccountRow(Base):
    """One mail identity, in one workspace: its own tenant's or a shared one, of its own environment."""

    __tablename__ = "accounts"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(
            ["workspace_id", "environment", "workspace_owner"],
            ["workspaces.id", "workspaces.environment", "workspaces.owner"],
        ),
        sa.UniqueConstraint("id", "tenant_id"),
        sa.UniqueConstraint("id", "tenant_id", "environment"),
        sa.UniqueConstraint("tenant_id", "client_id"),
        sa.Index("ix_accounts_client_id", "client_id"),
        sa.Index("ix_accounts_created_at_id", "created_at", "id"),
        sa.Index("ix_accounts_updated_at_id", "updated_at", "id"),
        sa.Index("ix_accounts_address_id", "address", "id"),
        sa.Index("ix_accounts_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        sa.Index("ix_accounts_tenant_id_address_id", "tenant_id", "address", "id"),
        sa.Index("ix_accounts_workspace_id_created_at_id", "workspace_id", "created_at", "id"),
        sa.Index("ix_accounts_purge_at", "purge_at"),
        sa.Index("ix_accounts_carry_at", "carry_at"),
        one_of("environment", ENVIRONMENTS),
        one_of("status", STATUSES),
        one_of("assignment", ASSIGNMENTS),
        sa.CheckConstraint("workspace_owner = 'shared' OR workspace_owner = tenant_id", name="workspace"),
    )

    id: Mapped[Id]
    """The grant id."""
    tenant_id: Mapped[str]
    workspace_id: Mapped[str]
    workspace_owner: Mapped[str]
    environment: Mapped[str]
    assignment: Mapped[str]
    """How it came into its workspace: "auto" follows patterns and defaults, "explicit" stays."""
    address: Mapped[str]
    display_name: Mapped[str | None]
    status: Mapped[str]
    status_reason: Mapped[str | None]
    suspended_at: Mapped[OptionalTime]
    stopped_by_operator: Mapped[bool] = mapped_column(sa.Boolean, default=False, server_default=sa.false())
    """Suspended by the operator, who alone resumes it."""
    purge_at: Mapped[OptionalTime]
    """When an account that is being deleted will be gone."""
    carry_from: Mapped[str | None]
    """The location whose counters are to be carried to the workspace's before it sends again."""
    carry_at: Mapped[OptionalTime]
    smtp: Mapped[bool]
    imap: Mapped[bool]
    epoch: Mapped[int]
    home_location: Mapped[str]
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]


class AccountAddressRow(Base):
    """An address of an account, its own or an alias. `key` is what logins and identities are compared by."""

    __tablename__ = "account_addresses"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["account_id", "tenant_id", "environment"],
            ["accounts.id", "accounts.tenant_id", "accounts.environment"],
        ),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id", "environment"],
            ["domains.id", "domains.tenant_id", "domains.environment"],
        ),
        sa.Index("ix_account_addresses_account_id", "account_id"),
        sa.Index("ix_account_addresses_domain_id", "domain_id"),
        sa.Index(
            "uq_account_addresses_account_id_primary",
            "account_id",
            unique=True,
            sqlite_where=sa.text("is_primary"),
            postgresql_where=sa.text("is_primary"),
        ),
    )

    key: Mapped[Id]
    address: Mapped[str]
    account_id: Mapped[str]
    tenant_id: Mapped[str]
    environment: Mapped[str]
    domain_id: Mapped[str]
    is_primary: Mapped[bool]
    logs_in: Mapped[bool] = mapped_column(sa.Boolean, default=False, server_default=sa.false())
    """An alias that was the account's own address once: programs may still log in with it."""
    created_at: Mapped[Time]


class PendingAddressRow(Base):
    """An address that an account gets, as its own, once the domain is active."""

    __tablename__ = "pending_addresses"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["account_id", "tenant_id", "environment"],
            ["accounts.id", "accounts.tenant_id", "accounts.environment"],
        ),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id", "environment"],
            ["domains.id", "domains.tenant_id", "domains.environment"],
        ),
        sa.UniqueConstraint("domain_id", "key"),
        sa.Index("ix_pending_addresses_account_id", "account_id"),
        sa.Index("ix_pending_addresses_key", "key"),
    )

    id: Mapped[Id]
    account_id: Mapped[str]
    tenant_id: Mapped[str]
    environment: Mapped[str]
    domain_id: Mapped[str]
    key: Mapped[str]
    address: Mapped[str]
    reason: Mapped[str | None]
    """Why it still waits although the domain is active."""
    created_at: Mapped[Time]
