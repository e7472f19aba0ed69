"""The installation itself: its head and log, its audit and keys, plans and policies, tenants, workspaces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
oldest = "0001"


def upgrade() -> None:
    """Make the tables, parents first."""
    _make_audit_entries()
    _make_control_changes()
    _make_control_head()
    _make_document_versions()
    _make_installation_secrets()
    _make_master_keys()
    _make_plans()
    _make_policies()
    _make_source_addresses()
    _make_audit_payloads()
    _make_tenants()
    _make_workspaces()
    _make_workspace_patterns()


def _make_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_address", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("resource_kind", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.Text(), nullable=False),
        sa.Column("chain_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_entries"),
        sa.UniqueConstraint("id", name="uq_audit_entries_id"),
    )
    op.create_index("ix_audit_entries_resource_id", "audit_entries", ["resource_id"], unique=False)
    op.create_index(
        "ix_audit_entries_tenant_id_number", "audit_entries", ["tenant_id", "number"], unique=False
    )


def _make_control_changes() -> None:
    op.create_table(
        "control_changes",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("revision", "n", name="pk_control_changes"),
    )


def _make_control_head() -> None:
    op.create_table(
        "control_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("audit_number", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_control_head_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_control_head"),
    )


def _make_document_versions() -> None:
    op.create_table(
        "document_versions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('policy', 'plan')", name="ck_document_versions_kind"),
        sa.PrimaryKeyConstraint("id", name="pk_document_versions"),
        sa.UniqueConstraint("kind", "name", "version", name="uq_document_versions_kind_name_version"),
    )


def _make_installation_secrets() -> None:
    op.create_table(
        "installation_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_installation_secrets"),
    )


def _make_master_keys() -> None:
    op.create_table(
        "master_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("check_value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_master_keys"),
    )


def _make_plans() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
        sa.UniqueConstraint("name", name="uq_plans_name"),
    )


def _make_policies() -> None:
    op.create_table(
        "policies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
        sa.UniqueConstraint("name", name="uq_policies_name"),
    )


def _make_source_addresses() -> None:
    op.create_table(
        "source_addresses",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("helo", sa.Text(), nullable=False),
        sa.Column("ipv4", sa.Text(), nullable=True),
        sa.Column("ipv6", sa.Text(), nullable=True),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("plans", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'retired')", name="ck_source_addresses_state"),
        sa.CheckConstraint("ipv4 IS NOT NULL OR ipv6 IS NOT NULL", name="ck_source_addresses_address"),
        sa.PrimaryKeyConstraint("id", name="pk_source_addresses"),
        sa.UniqueConstraint("helo", name="uq_source_addresses_helo"),
        sa.UniqueConstraint("ipv4", name="uq_source_addresses_ipv4"),
        sa.UniqueConstraint("ipv6", name="uq_source_addresses_ipv6"),
    )


def _make_audit_payloads() -> None:
    op.create_table(
        "audit_payloads",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["number"], ["audit_entries.number"], name="fk_audit_payloads_number"),
        sa.PrimaryKeyConstraint("number", name="pk_audit_payloads"),
    )


def _make_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("is_platform", sa.Boolean(), nullable=False),
        sa.Column("contacts", sa.JSON(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("suspended_at", sa.Double(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleting')", name="ck_tenants_status"),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name="fk_tenants_plan_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("client_id", name="uq_tenants_client_id"),
        sa.UniqueConstraint("name_key", name="uq_tenants_name_key"),
        sa.UniqueConstraint("slug", name="uq_tenants_slug"),
    )
    op.create_index(
        "uq_tenants_is_platform",
        "tenants",
        ["is_platform"],
        unique=True,
        sqlite_where=sa.text("is_platform"),
        postgresql_where=sa.text("is_platform"),
    )


def _make_workspaces() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "(owner = 'shared' AND tenant_id IS NULL) OR (owner = tenant_id AND tenant_id IS NOT NULL)",
            name="ck_workspaces_owner",
        ),
        sa.CheckConstraint(
            "environment IN ('production', 'staging', 'development')", name="ck_workspaces_environment"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_workspaces_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("client_id", name="uq_workspaces_client_id"),
        sa.UniqueConstraint("id", "environment", "owner", name="uq_workspaces_id_environment_owner"),
        sa.UniqueConstraint("owner", "name_key", name="uq_workspaces_owner_name_key"),
    )
    op.create_index(
        "uq_workspaces_owner_environment_default",
        "workspaces",
        ["owner", "environment"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )


def _make_workspace_patterns() -> None:
    op.create_table(
        "workspace_patterns",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "environment", "owner"],
            ["workspaces.id", "workspaces.environment", "workspaces.owner"],
            name="fk_workspace_patterns_workspace_id_environment_owner",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_workspace_patterns"),
        sa.UniqueConstraint(
            "owner", "environment", "pattern", name="uq_workspace_patterns_owner_environment_pattern"
        ),
    )
