"""How much there is of everything, and what things are called whose ids other rows name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.control.accounts.model import AccountRow
from gateway.control.base import Base
from gateway.control.domains.model import DomainRow
from gateway.control.records import Actor
from gateway.control.shards.model import ShardRow
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.model import WorkspaceRow

_IDS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each a caller may see."""

    tenants: int
    workspaces: int
    accounts: int
    domains: int
    shards: int


class Overview:
    """Answers for lists and summaries that are not about one resource."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def counts(self, actor: Actor) -> Counts:
        """How many of each the caller may see."""
        rows: tuple[type[Base], ...] = (TenantRow, WorkspaceRow, AccountRow, DomainRow, ShardRow)
        with self._writes.view() as session:
            found = [
                session.scalar(sa.select(sa.func.count()).select_from(row).where(visible(actor, row))) or 0
                for row in rows
            ]
        return Counts(*found)

    def addresses(self, actor: Actor, ids: Collection[str]) -> dict[str, str]:
        """The addresses of those of these accounts that the caller may see."""
        return self._names(actor, AccountRow, AccountRow.address, ids)

    def shard_names(self, actor: Actor, ids: Collection[str]) -> dict[str, str]:
        """The names of those of these shards that the caller may see."""
        return self._names(actor, ShardRow, ShardRow.name, ids)

    def _names(
        self,
        actor: Actor,
        row: type[AccountRow] | type[ShardRow],
        name: sa.orm.InstrumentedAttribute[str],
        ids: Collection[str],
    ) -> dict[str, str]:
        wanted = sorted(set(ids))
        names: dict[str, str] = {}
        with self._writes.view() as session:
            for start in range(0, len(wanted), _IDS_AT_ONCE):
                part = wanted[start : start + _IDS_AT_ONCE]
                query = sa.select(row.id, name).where(row.id.in_(part), visible(actor, row))
                names |= dict(session.execute(query).all())
        return names
