"""What tenants send with: domains, keys, shards, accounts and their app passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
oldest = "0002"


def upgrade() -> None:
    """Make the tables, parents first."""
    _make_domains()
    _make_accounts()
    _make_shards()
    _make_account_addresses()
    _make_credentials()
    _make_dkim_keys()


def _make_domains() -> None:
    op.create_table(
        "domains",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("verified_at", sa.Double(), nullable=True),
        sa.Column("verified_by", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "environment IN ('production', 'staging', 'development')", name="ck_domains_environment"
        ),
        sa.CheckConstraint("kind IN ('trial', 'custom', 'platform')", name="ck_domains_kind"),
        sa.CheckConstraint("mode IN ('send', 'send-receive')", name="ck_domains_mode"),
        sa.CheckConstraint(
            "state IN ('pending', 'verifying', 'active', 'degraded', 'suspended', 'expired')",
            name="ck_domains_state",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_domains_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_domains"),
        sa.UniqueConstraint("client_id", name="uq_domains_client_id"),
        sa.UniqueConstraint("id", "tenant_id", "environment", name="uq_domains_id_tenant_id_environment"),
        sa.UniqueConstraint("id", "tenant_id", name="uq_domains_id_tenant_id"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_domains_tenant_id_name"),
    )
    op.create_index("ix_domains_name", "domains", ["name"], unique=False)
    op.create_index(
        "uq_domains_name_held",
        "domains",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state IN ('active', 'degraded', 'suspended')"),
        postgresql_where=sa.text("state IN ('active', 'degraded', 'suspended')"),
    )


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("workspace_owner", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("assignment", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("smtp", sa.Boolean(), nullable=False),
        sa.Column("imap", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("home_location", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("assignment IN ('auto', 'explicit')", name="ck_accounts_assignment"),
        sa.CheckConstraint(
            "environment IN ('production', 'staging', 'development')", name="ck_accounts_environment"
        ),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleting')", name="ck_accounts_status"),
        sa.CheckConstraint(
            "workspace_owner = 'shared' OR workspace_owner = tenant_id", name="ck_accounts_workspace"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_accounts_tenant_id"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "environment", "workspace_owner"],
            ["workspaces.id", "workspaces.environment", "workspaces.owner"],
            name="fk_accounts_workspace_id_environment_workspace_owner",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("id", "tenant_id", "environment", name="uq_accounts_id_tenant_id_environment"),
        sa.UniqueConstraint("id", "tenant_id", name="uq_accounts_id_tenant_id"),
        sa.UniqueConstraint("tenant_id", "client_id", name="uq_accounts_tenant_id_client_id"),
    )
    op.create_index("ix_accounts_workspace_id", "accounts", ["workspace_id"], unique=False)


def _make_shards() -> None:
    op.create_table(
        "shards",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("route_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("streams", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("sign", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "environment IN ('production', 'staging', 'development')", name="ck_shards_environment"
        ),
        sa.CheckConstraint("state IN ('active', 'paused', 'retired')", name="ck_shards_state"),
        sa.CheckConstraint("weight BETWEEN 1 AND 1000", name="ck_shards_weight"),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id", "environment"],
            ["domains.id", "domains.tenant_id", "domains.environment"],
            name="fk_shards_domain_id_tenant_id_environment",
        ),
        sa.ForeignKeyConstraint(["source_id"], ["source_addresses.id"], name="fk_shards_source_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_shards_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shards"),
        sa.UniqueConstraint("client_id", name="uq_shards_client_id"),
        sa.UniqueConstraint("id", "tenant_id", name="uq_shards_id_tenant_id"),
        sa.UniqueConstraint("name", name="uq_shards_name"),
    )
    op.create_index("ix_shards_tenant_id_environment", "shards", ["tenant_id", "environment"], unique=False)


def _make_account_addresses() -> None:
    op.create_table(
        "account_addresses",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "tenant_id", "environment"],
            ["accounts.id", "accounts.tenant_id", "accounts.environment"],
            name="fk_account_addresses_account_id_tenant_id_environment",
        ),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id", "environment"],
            ["domains.id", "domains.tenant_id", "domains.environment"],
            name="fk_account_addresses_domain_id_tenant_id_environment",
        ),
        sa.PrimaryKeyConstraint("key", name="pk_account_addresses"),
    )
    op.create_index("ix_account_addresses_account_id", "account_addresses", ["account_id"], unique=False)
    op.create_index("ix_account_addresses_domain_id", "account_addresses", ["domain_id"], unique=False)
    op.create_index(
        "uq_account_addresses_account_id_primary",
        "account_addresses",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("is_primary"),
        postgresql_where=sa.text("is_primary"),
    )


def _make_credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("networks", sa.JSON(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.CheckConstraint("(key_id IS NULL) <> (tag IS NULL)", name="ck_credentials_one_name"),
        sa.ForeignKeyConstraint(
            ["account_id", "tenant_id"],
            ["accounts.id", "accounts.tenant_id"],
            name="fk_credentials_account_id_tenant_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
        sa.UniqueConstraint("key_id", name="uq_credentials_key_id"),
    )
    op.create_index(
        "ix_credentials_account_id_revoked_at", "credentials", ["account_id", "revoked_at"], unique=False
    )
    op.create_index(
        "uq_credentials_account_id_tag",
        "credentials",
        ["account_id", "tag"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def _make_dkim_keys() -> None:
    op.create_table(
        "dkim_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=True),
        sa.Column("shard_id", sa.Text(), nullable=True),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("activated_at", sa.Double(), nullable=True),
        sa.Column("retiring_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.CheckConstraint("algorithm IN ('rsa-sha256', 'ed25519-sha256')", name="ck_dkim_keys_algorithm"),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'retiring', 'revoked', 'destroyed')", name="ck_dkim_keys_state"
        ),
        sa.CheckConstraint("(domain_id IS NULL) <> (shard_id IS NULL)", name="ck_dkim_keys_one_owner"),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id"],
            ["domains.id", "domains.tenant_id"],
            name="fk_dkim_keys_domain_id_tenant_id",
        ),
        sa.ForeignKeyConstraint(
            ["shard_id", "tenant_id"],
            ["shards.id", "shards.tenant_id"],
            name="fk_dkim_keys_shard_id_tenant_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dkim_keys"),
        sa.UniqueConstraint("domain_id", "selector", name="uq_dkim_keys_domain_id_selector"),
        sa.UniqueConstraint("shard_id", "selector", name="uq_dkim_keys_shard_id_selector"),
    )
