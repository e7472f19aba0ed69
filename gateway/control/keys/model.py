"""The tables of DKIM keys, the private half sealed, and of the selectors kept for them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of

STATES = ("pending", "active", "retiring", "revoked", "destroyed")
ALGORITHMS = ("rsa-sha256", "ed25519-sha256")


_PUBLISHED = sa.text("withdrawn_at IS NULL")


def _published_once(owner: str) -> sa.Index:
    """One published key for each selector; one whose record was taken back leaves it to another."""
    return sa.Index(
        f"uq_dkim_keys_{owner}_published",
        owner,
        "selector",
        unique=True,
        sqlite_where=_PUBLISHED,
        postgresql_where=_PUBLISHED,
    )


class KeyRow(Base):
    """A DKIM key of a domain, or of a shard that signs."""

    __tablename__ = "dkim_keys"
    __table_args__ = (
        sa.ForeignKeyConstraint(["domain_id", "tenant_id"], ["domains.id", "domains.tenant_id"]),
        sa.ForeignKeyConstraint(["shard_id", "tenant_id"], ["shards.id", "shards.tenant_id"]),
        _published_once("domain_id"),
        _published_once("shard_id"),
        sa.Index("ix_dkim_keys_state", "state"),
        sa.Index("ix_dkim_keys_domain", "domain"),
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
    seen_at: Mapped[OptionalTime]
    """When DNS was first seen to have its record."""
    unused_at: Mapped[OptionalTime]
    """Since when no queued mail names a key that signs no more."""
    withdrawn_at: Mapped[OptionalTime]
    """When its record was taken back: its selector is free."""


class SlotRow(Base):
    """A selector of a domain that is an alias into the platform's zone, for one key after another."""

    __tablename__ = "dkim_slots"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id"], ["domains.id", "domains.tenant_id"], ondelete="CASCADE"
        ),
        sa.UniqueConstraint("domain_id", "selector"),
        one_of("algorithm", ALGORITHMS),
    )

    id: Mapped[Id]
    tenant_id: Mapped[str]
    domain_id: Mapped[str]
    selector: Mapped[str]
    algorithm: Mapped[str]
    created_at: Mapped[Time]


def published_keys() -> sa.Select[KeyRow]:
    """The keys whose records are to stand in DNS."""
    return sa.select(KeyRow).where(KeyRow.withdrawn_at.is_(None), KeyRow.state != "destroyed")
