"""Domains that are watched and published: slots of DKIM keys, delegated sub-domains, what DNS has shown.

And who stopped an account or a shard.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
oldest = "0003"


def upgrade() -> None:
    """Add tables and columns; a selector may be used again once its key's record was taken back."""
    _make_dkim_slots()
    _follow_keys()
    _make_delegations()
    _time_states()
    _remember_who_stopped()


def _make_dkim_slots() -> None:
    """The selectors of a domain that lead to the platform's zone."""
    op.create_table(
        "dkim_slots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("algorithm IN ('rsa-sha256', 'ed25519-sha256')", name="ck_dkim_slots_algorithm"),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id"],
            ["domains.id", "domains.tenant_id"],
            name="fk_dkim_slots_domain_id_tenant_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dkim_slots"),
        sa.UniqueConstraint("domain_id", "selector", name="uq_dkim_slots_domain_id_selector"),
    )


def _follow_keys() -> None:
    """When a key was seen in DNS, when mail stopped to name it, when its record was taken back."""
    with op.batch_alter_table("dkim_keys", copy_from=_keys()) as batch:
        batch.drop_constraint("uq_dkim_keys_domain_id_selector", type_="unique")
        batch.drop_constraint("uq_dkim_keys_shard_id_selector", type_="unique")
        for name in ("seen_at", "unused_at", "withdrawn_at"):
            batch.add_column(sa.Column(name, sa.Double(), nullable=True))
    published = sa.text("withdrawn_at IS NULL")
    for owner in ("domain_id", "shard_id"):
        op.create_index(
            f"uq_dkim_keys_{owner}_published",
            "dkim_keys",
            [owner, "selector"],
            unique=True,
            sqlite_where=published,
            postgresql_where=published,
        )
    op.create_index("ix_dkim_keys_state", "dkim_keys", ["state"], unique=False)
    op.create_index("ix_dkim_keys_domain", "dkim_keys", ["domain"], unique=False)


def _keys() -> sa.Table:
    """The table as it is before: SQLite makes it anew."""
    return sa.Table(
        "dkim_keys",
        sa.MetaData(),
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
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("metadata_", sa.JSON(), nullable=False, server_default="{}"),
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
        sa.Index("uq_dkim_keys_tenant_id_client_id", "tenant_id", "client_id", unique=True),
    )


def _make_delegations() -> None:
    """Sub-domains of one tenant's domain that another tenant may have."""
    op.create_table(
        "domain_delegations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("delegate_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id"],
            ["domains.id", "domains.tenant_id"],
            name="fk_domain_delegations_domain_id_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["delegate_id"],
            ["tenants.id"],
            name="fk_domain_delegations_delegate_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_domain_delegations"),
        sa.UniqueConstraint("domain_id", "delegate_id", name="uq_domain_delegations_domain_id_delegate_id"),
    )


def _time_states() -> None:
    """Since when a domain is in its state: each lasts its time before the next."""
    op.add_column("domains", sa.Column("state_at", sa.Double(), nullable=True))


def _remember_who_stopped() -> None:
    """Whether the operator did, who alone lets it go on then. What stood still before may go on as before."""
    for table in ("accounts", "shards"):
        column: sa.Column[bool] = sa.Column(
            "stopped_by_operator", sa.Boolean(), nullable=False, server_default=sa.false()
        )
        op.add_column(table, column)
