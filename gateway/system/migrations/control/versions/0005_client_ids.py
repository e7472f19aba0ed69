"""A caller's own id is the only one among its owner's things, not among everybody's."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
oldest = "0004"

_OWNERS = {
    "domains": "tenant_id",
    "shards": "tenant_id",
    "workspaces": "owner",
    "lists": "owner",
    "limit_raises": "tenant_id",
}


def upgrade() -> None:
    """Let tenants use the same ids: that one is taken must not tell of another's things."""
    for table, owner in _OWNERS.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"uq_{table}_client_id", type_="unique")
            batch.create_unique_constraint(f"uq_{table}_{owner}_client_id", [owner, "client_id"])
