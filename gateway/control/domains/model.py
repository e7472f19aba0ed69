"""The tables of domains and of what tenants let others have of theirs."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from gateway.control.base import Base, Id, Metadata, OptionalTime, Time, one_of
from gateway.control.records import ENVIRONMENTS

KINDS = ("trial", "custom", "platform")
STATES = ("pending", "verifying", "active", "degraded", "suspended", "expired")
MODES = ("send", "send-receive")
HELD = ("active", "degraded", "suspended")
"""The states in which a domain belongs to its tenant alone."""

_HELD = sa.text("state IN ('active', 'degraded', 'suspended')")


class DomainRow(Base):
    """A tenant's claim on a domain. Many may claim a name; one holds it."""

    __tablename__ = "domains"
    __table_args__ = (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.UniqueConstraint("id", "tenant_id"),
        sa.UniqueConstraint("id", "tenant_id", "environment"),
        sa.UniqueConstraint("tenant_id", "name"),
        sa.UniqueConstraint("tenant_id", "client_id"),
        one_of("environment", ENVIRONMENTS),
        one_of("kind", KINDS),
        one_of("state", STATES),
        one_of("mode", MODES),
        sa.Index("ix_domains_name", "name"),
        sa.Index("uq_domains_name_held", "name", unique=True, sqlite_where=_HELD, postgresql_where=_HELD),
    )

    id: Mapped[Id]
    name: Mapped[str]
    """A-labels, lower case."""
    tenant_id: Mapped[str]
    environment: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    mode: Mapped[str]
    challenge: Mapped[str]
    """The word that only this tenant can be told to publish; public, no secret."""
    verified_at: Mapped[OptionalTime]
    verified_by: Mapped[str | None]
    """"dns", "platform", or who said so and why."""
    purge_at: Mapped[OptionalTime]
    """When a domain that is being deleted will be released."""
    state_before: Mapped[str | None]
    """What it is again if its deletion is called off."""
    client_id: Mapped[str | None]
    metadata_: Mapped[Metadata]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]
    state_at: Mapped[OptionalTime]
    """Since when it is in its state; None: since before that was kept."""

    @property
    def in_state_since(self) -> float:
        """Since when it is in its state, at the latest."""
        return self.state_at if self.state_at is not None else self.updated_at

    def enter(self, state: str, now: float) -> None:
        """Go to another state at `now` (seconds since 1970)."""
        self.state, self.state_at = state, now


class DelegationRow(Base):
    """A tenant lets another one have domains below one of its own."""

    __tablename__ = "domain_delegations"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["domain_id", "tenant_id"], ["domains.id", "domains.tenant_id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["delegate_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("domain_id", "delegate_id"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[str]
    """Whose domain it is."""
    domain_id: Mapped[str]
    delegate_id: Mapped[str]
    """The tenant that may have names below it."""
    created_at: Mapped[Time]
