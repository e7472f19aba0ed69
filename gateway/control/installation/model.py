"""The tables of the installation itself: its revision, its change log, its keys."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.audit.head import Head
from gateway.control.base import Base, Id, Time


class HeadRow(Base):
    """The one row that every control transaction locks: its revision, and the end of the audit's chain."""

    __tablename__ = "control_head"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(sa.BigInteger)
    audit_number: Mapped[int] = mapped_column(sa.BigInteger)
    audit_hash: Mapped[str]
    audit_seal: Mapped[str | None]
    """See gateway.control.audit.head; None: it was never sealed, or lost a true seal."""

    @property
    def audit_head(self) -> Head:
        """The end of the audit's chain."""
        return Head(self.audit_number, self.audit_hash, self.audit_seal)

    @audit_head.setter
    def audit_head(self, head: Head) -> None:
        self.audit_number, self.audit_hash, self.audit_seal = head.number, head.hash, head.seal


class ChangeRow(Base):
    """A row that the transaction of `revision` changed, for those who hold copies in memory."""

    __tablename__ = "control_changes"

    revision: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    """tenant, workspace, policy, plan, domain, shard, source, key, account, credential, platform."""
    row_id: Mapped[str]
    tenant_id: Mapped[str | None]
    account_id: Mapped[str | None]


class MasterKeyRow(Base):
    """A master key that something here may be sealed under, to be known again."""

    __tablename__ = "master_keys"

    key_id: Mapped[Id]
    check_value: Mapped[str]
    created_at: Mapped[Time]


class SecretRow(Base):
    """A secret of the installation, sealed: it stays when the master key is rotated."""

    __tablename__ = "installation_secrets"

    name: Mapped[Id]
    sealed: Mapped[bytes]
    created_at: Mapped[Time]
