"""The control plane's own: API keys, idempotent requests, webhooks, lists, raises, deletion with grace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
oldest = "0002"


def upgrade() -> None:
    """Add what the API and its jobs keep; nothing that was there changes its meaning."""
    _make_api_keys()
    _make_idempotency()
    _make_webhooks()
    _make_notices()
    _make_lists()
    _make_raises()
    _add_deletion()
    _add_carrying()
    _add_callers_own()
    _add_listings()
    _add_lookups()
    _add_provisioning()
    _seal_audit_head()


def _make_api_keys() -> None:
    """Keys of the API."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("rights", sa.JSON(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("workspace_id", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("networks", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "environment IN ('production', 'staging', 'development')", name="ck_api_keys_environment"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_api_keys_tenant_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_api_keys_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_id", name="uq_api_keys_key_id"),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"], unique=False)


def _make_idempotency() -> None:
    """Requests that were done, so that a repetition gives the first result."""
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"], unique=False)


def _make_webhooks() -> None:
    """Where events are sent."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("workspace_id", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'paused', 'disabled')", name="ck_webhooks_state"),
        sa.CheckConstraint(
            "environment IN ('production', 'staging', 'development')", name="ck_webhooks_environment"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_webhooks_tenant_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.UniqueConstraint("tenant_id", "client_id", name="uq_webhooks_tenant_id_client_id"),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name="fk_webhook_secrets_webhook_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_secrets"),
    )
    op.create_index("ix_webhook_secrets_webhook_id", "webhook_secrets", ["webhook_id"], unique=False)


def _make_notices() -> None:
    """What tenants' contacts are told."""


def _make_lists() -> None:
    """Lists of domains, top-level domains and addresses that rules name."""
    op.create_table(
        "lists",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('domain', 'tld', 'address')", name="ck_lists_kind"),
        sa.CheckConstraint(
            "(owner = 'shared' AND tenant_id IS NULL) OR (owner = tenant_id AND tenant_id IS NOT NULL)",
            name="ck_lists_owner",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_lists_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lists"),
        sa.UniqueConstraint("client_id", name="uq_lists_client_id"),
        sa.UniqueConstraint("owner", "name", name="uq_lists_owner_name"),
    )
    op.create_table(
        "list_items",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["lists.id"], name="fk_list_items_list_id"),
        sa.PrimaryKeyConstraint("list_id", "value", name="pk_list_items"),
    )


def _make_raises() -> None:
    """Limits raised for a time."""
    op.create_table(
        "limit_raises",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "tenant_id"],
            ["accounts.id", "accounts.tenant_id"],
            name="fk_limit_raises_account_id_tenant_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_limit_raises_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_limit_raises"),
        sa.UniqueConstraint("client_id", name="uq_limit_raises_client_id"),
    )
    op.create_index("ix_limit_raises_tenant_id", "limit_raises", ["tenant_id"], unique=False)
    op.create_index("ix_limit_raises_until", "limit_raises", ["until"], unique=False)


def _add_deletion() -> None:
    """Why things are stopped, and when what is being deleted will be gone."""
    op.add_column("tenants", sa.Column("purge_at", sa.Double(), nullable=True))
    op.add_column("tenants", sa.Column("notices", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("accounts", sa.Column("status_reason", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("suspended_at", sa.Double(), nullable=True))
    op.add_column("accounts", sa.Column("purge_at", sa.Double(), nullable=True))
    op.add_column("domains", sa.Column("purge_at", sa.Double(), nullable=True))
    op.add_column("domains", sa.Column("state_before", sa.Text(), nullable=True))
    op.create_index("ix_accounts_purge_at", "accounts", ["purge_at"], unique=False)


def _add_carrying() -> None:
    """Which counters are to follow to another location."""
    for table in ("accounts", "workspaces"):
        op.add_column(table, sa.Column("carry_from", sa.Text(), nullable=True))
        op.add_column(table, sa.Column("carry_at", sa.Double(), nullable=True))
    op.create_index("ix_accounts_carry_at", "accounts", ["carry_at"], unique=False)


def _add_callers_own() -> None:
    """The caller's id and pairs where there were none yet."""
    for table in ("credentials", "source_addresses", "dkim_keys", "policies", "plans"):
        op.add_column(table, sa.Column("client_id", sa.Text(), nullable=True))
        op.add_column(table, sa.Column("metadata_", sa.JSON(), nullable=False, server_default="{}"))
    for table in ("source_addresses", "policies", "plans"):
        op.create_index(f"uq_{table}_client_id", table, ["client_id"], unique=True)
    for table in ("credentials", "dkim_keys"):
        op.create_index(f"uq_{table}_tenant_id_client_id", table, ["tenant_id", "client_id"], unique=True)


def _add_listings() -> None:
    """What pages of many accounts and app passwords are read by."""
    op.create_index("ix_accounts_created_at_id", "accounts", ["created_at", "id"])
    op.create_index("ix_accounts_updated_at_id", "accounts", ["updated_at", "id"])
    op.create_index("ix_accounts_address_id", "accounts", ["address", "id"])
    op.create_index("ix_accounts_tenant_id_created_at_id", "accounts", ["tenant_id", "created_at", "id"])
    op.create_index("ix_accounts_tenant_id_address_id", "accounts", ["tenant_id", "address", "id"])
    op.create_index(
        "ix_accounts_workspace_id_created_at_id", "accounts", ["workspace_id", "created_at", "id"]
    )
    op.drop_index("ix_accounts_workspace_id", "accounts")
    op.create_index("ix_credentials_created_at_id", "credentials", ["created_at", "id"])
    op.create_index(
        "ix_credentials_tenant_id_created_at_id", "credentials", ["tenant_id", "created_at", "id"]
    )


def _add_lookups() -> None:
    """What is asked for with every account that is provisioned, and by callers' own ids."""
    op.create_index("ix_accounts_client_id", "accounts", ["client_id"])
    op.create_index("ix_workspaces_tenant_id", "workspaces", ["tenant_id"])
    op.create_index("ix_workspaces_name_key_id", "workspaces", ["name_key", "id"])
    op.create_index("ix_workspace_patterns_workspace_id", "workspace_patterns", ["workspace_id"])
    op.create_index("ix_shards_domain_id", "shards", ["domain_id"])
    op.create_index("ix_shards_source_id", "shards", ["source_id"])


def _add_provisioning() -> None:
    """Addresses that accounts get once their domain is active."""
    op.create_table(
        "pending_addresses",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id", "tenant_id", "environment"],
            ["accounts.id", "accounts.tenant_id", "accounts.environment"],
            name="fk_pending_addresses_account_id_tenant_id_environment",
        ),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id", "environment"],
            ["domains.id", "domains.tenant_id", "domains.environment"],
            name="fk_pending_addresses_domain_id_tenant_id_environment",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pending_addresses"),
        sa.UniqueConstraint("domain_id", "key", name="uq_pending_addresses_domain_id_key"),
    )
    op.create_index("ix_pending_addresses_account_id", "pending_addresses", ["account_id"], unique=False)
    op.create_index("ix_pending_addresses_key", "pending_addresses", ["key"], unique=False)
    op.add_column(
        "account_addresses", sa.Column("logs_in", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def _seal_audit_head() -> None:
    """The seal of the audit's head; what was there is sealed by the program that upgrades."""
    op.add_column("control_head", sa.Column("audit_seal", sa.Text(), nullable=True))
