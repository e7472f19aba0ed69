"""How each kind of thing is found, compared, made and changed: domains, shards and lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.control.declarations.handlers import Fields, Room, common_fields, owner_of
from gateway.control.declarations.values import Value
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict
from gateway.control.lists.items import MOST_AT_ONCE, parse_items
from gateway.control.lists.model import ListItemRow, ListRow
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.model import TenantRow


class Lists(Room):
    """Lists: a tenant's own, or shared."""

    def rows(self, owner: TenantRow | None) -> Sequence[ListRow]:
        """See Handler."""
        statement = sa.select(ListRow).where(ListRow.owner == owner_of(owner)).order_by(ListRow.name)
        return self.session.scalars(statement).all()

    def find(self, owner: TenantRow | None, name: str) -> ListRow | None:
        """See Handler."""
        named = sa.select(ListRow).where(ListRow.owner == owner_of(owner), ListRow.name == name)
        return self.session.scalars(named).one_or_none()

    def state(self, row: ListRow) -> dict[str, Value]:
        """See Handler."""
        items = sa.select(ListItemRow.value).where(ListItemRow.list_id == row.id)
        return {
            "kind": row.kind,
            "description": row.description,
            "items": tuple(sorted(self.session.scalars(items))),
            **common_fields(row),
        }

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = {key: value for key, value in fields.items() if key != "items"}
        tenant = owner.id if owner is not None else None
        made = self.services.lists.create(self.actor, name, options.pop("kind"), tenant=tenant, **options)
        self._set_items(made.id, (), _items(fields))

    def update(self, row: ListRow, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = {key: value for key, value in fields.items() if key != "items"}
        if options:
            self.services.lists.update(self.actor, row.id, **options)
        if "items" in fields:
            self._set_items(row.id, _items(self.state(row)), _items(fields))

    def delete(self, row: ListRow) -> None:
        """See Handler."""
        self.services.lists.delete(self.actor, row.id)

    def _set_items(self, list_id: str, old: Sequence[str], new: Sequence[str]) -> None:
        for some in _parts(sorted(set(old).difference(new))):
            self.services.lists.remove_items(self.actor, list_id, some)
        for some in _parts(sorted(set(new).difference(old))):
            self.services.lists.add_items(self.actor, list_id, some)


class Domains(Room):
    """Custom domains: claimed for a tenant; whether they are proved is not for files to say."""

    def rows(self, owner: TenantRow | None) -> Sequence[DomainRow]:
        """See Handler."""
        statement = sa.select(DomainRow).where(
            DomainRow.tenant_id == owner_of(owner),
            DomainRow.kind == "custom",
            DomainRow.purge_at.is_(None),
        )
        return self.session.scalars(statement.order_by(DomainRow.name)).all()

    def find(self, owner: TenantRow | None, name: str) -> DomainRow | None:
        """See Handler."""
        named = sa.select(DomainRow).where(DomainRow.tenant_id == owner_of(owner), DomainRow.name == name)
        row = self.session.scalars(named).one_or_none()
        if row is not None and row.purge_at is not None:
            raise Conflict("domain-deleting", f"{row.name} is being deleted.", "Restore it first.")
        return row

    def state(self, row: DomainRow) -> dict[str, Value]:
        """See Handler."""
        return {"environment": row.environment, "mode": row.mode, **common_fields(row)}

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = dict(fields)
        self.services.domains.add(self.actor, name, tenant=owner_of(owner), **options)

    def update(self, row: DomainRow, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = dict(fields)
        self.services.domains.update(self.actor, row.id, **options)

    def delete(self, row: DomainRow) -> None:
        """See Handler; it has its time of grace."""
        self.services.deletion.delete_domain(self.actor, row.id)


class Shards(Room):
    """Shards. None is ever deleted: it retires."""

    def rows(self, owner: TenantRow | None) -> Sequence[ShardRow]:
        """See Handler."""
        statement = sa.select(ShardRow).where(
            ShardRow.tenant_id == owner_of(owner), ShardRow.state != "retired"
        )
        return self.session.scalars(statement.order_by(ShardRow.name)).all()

    def find(self, owner: TenantRow | None, name: str) -> ShardRow | None:
        """See Handler."""
        named = sa.select(ShardRow).where(ShardRow.tenant_id == owner_of(owner), ShardRow.name == name)
        return self.session.scalars(named).one_or_none()

    def state(self, row: ShardRow) -> dict[str, Value]:
        """See Handler."""
        source = self.session.get(SourceRow, row.source_id) if row.source_id is not None else None
        return {
            "environment": row.environment,
            "route": row.route,
            "streams": tuple(row.streams),
            "weight": row.weight,
            "sign": row.sign,
            "pool": source.pool if source is not None else None,
            "state": row.state,
            **common_fields(row),
        }

    def create(self, owner: TenantRow | None, name: str, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = {key: value for key, value in fields.items() if key != "state"}
        made = self.services.shards.create(self.actor, name, tenant=owner_of(owner), **options)
        self._move(made.id, made.state, fields.get("state"))

    def update(self, row: ShardRow, fields: Fields) -> None:
        """See Handler."""
        options: dict[str, Any] = {key: value for key, value in fields.items() if key != "state"}
        if options:
            self.services.shards.update(self.actor, row.id, **options)
        self._move(row.id, row.state, fields.get("state"))

    def delete(self, row: ShardRow) -> None:
        """See Handler."""
        self.services.shards.retire(self.actor, row.id)

    def _move(self, shard_id: str, state: str, wanted: Value) -> None:
        shards = self.services.shards
        moves = {"active": shards.resume, "paused": shards.pause, "retired": shards.retire}
        if isinstance(wanted, str) and wanted != state:
            moves[wanted](self.actor, shard_id)


def normal_items(kind: Value, items: Value) -> tuple[str, ...]:
    """The items of a list in the form in which they are kept. Raises Invalid."""
    values = items if isinstance(items, tuple) else ()
    return tuple(sorted(one for some in _parts(values) for one in parse_items(str(kind), some)))


def _items(fields: Fields) -> tuple[str, ...]:
    items = fields.get("items")
    return items if isinstance(items, tuple) else ()


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), MOST_AT_ONCE):
        yield values[start : start + MOST_AT_ONCE]
