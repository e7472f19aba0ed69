"""The table of DKIM keys: the private half sealed."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of

STATES = ("pending", "active", "retiring", "revoked", "destroyed")
ALGORITHMS = ("rsa-sha256", "ed25519-sha256")


class KeyRow(Base):
    """A DKIM key of a domain, or of a shard that signs."""

    __tablename__ = "dkim_keys"
    __table_args__ = (
        sa.ForeignKeyConstraint(["domain_id", "tenant_id"], ["domains.id", "domains.tenant_id"]),
        sa.ForeignKeyConstraint(["shard_id", "tenant_id"], ["shards.id", "shards.tenant_id"]),
        sa.UniqueConstraint("domain_id", "selector"),
        sa.UniqueConstraint("shard_id", "selector"),
        sa.Index("uq_dkim_keys_tenant_id_client_id", "tenant_id", "client_id", unique=True),
        sa.CheckConstraint("(domain_id IS NULL) <> (shard_id IS NULL)", name="one_owner"),
        one_of("state", STATES),
        one_of("algorithm", ALGORITHMS),
    )

    id: Mapped[Id]
    tenant_id: Mapped[str]
    domain_id: Mapped[str | None]
    shard_id: Mapped[str | None]
    domain: Mapped[str]
    """The d= of its signatures."""
    selector: Mapped[str]
    algorithm: Mapped[str]
    bits: Mapped[int]
    state: Mapped[str]
    sealed: Mapped[bytes]
    """The private key (PKCS #8, DER); empty once destroyed."""
    public_key: Mapped[str]
    """The p= of its record."""
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata] = mapped_column(sa.JSON, default=dict)
    created_at: Mapped[Time]
    activated_at: Mapped[OptionalTime]
    retiring_at: Mapped[OptionalTime]
    ended_at: Mapped[OptionalTime]
