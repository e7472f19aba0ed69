"""Lists and what stands in them, as people see them, and how they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.filters import among
from gateway.control.lists.model import KINDS, SHARED, ListItemRow, ListRow
from gateway.control.paging import Listing, one_by_one
from gateway.control.records import Actor
from gateway.control.tenants.find import find_tenant


@dataclass(frozen=True, slots=True)
class ListView:
    """A list; `tenant_id` None: shared, for the rules of every tenant. `items` says how many stand in it."""

    id: str
    name: str
    tenant_id: str | None
    kind: str
    description: str | None
    items: int
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class ItemView:
    """An entry of a list, in the form in which rules compare it."""

    value: str
    created_at: float


def list_view(session: Session, row: ListRow) -> ListView:
    """The view of a row."""
    return list_views(session, [row])[0]


def list_views(session: Session, rows: Sequence[ListRow]) -> list[ListView]:
    """The views of rows, in their order."""
    counted = (
        sa.select(ListItemRow.list_id, sa.func.count())
        .where(ListItemRow.list_id.in_([row.id for row in rows]))
        .group_by(ListItemRow.list_id)
    )
    counts = dict(session.execute(counted).all())
    return [
        ListView(
            id=row.id,
            name=row.name,
            tenant_id=row.tenant_id,
            kind=row.kind,
            description=row.description,
            items=counts.get(row.id, 0),
            client_id=row.client_id,
            metadata=dict(row.metadata_),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


def _usable_by(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:
    """A tenant's own lists and the shared ones; only the shared ones for the word "shared"."""
    owners = [SHARED] if word == SHARED else [find_tenant(session, actor, word).id, SHARED]
    return ListRow.owner.in_(owners)


LISTING = Listing(
    row=ListRow,
    views=list_views,
    sorts={"name": ListRow.name, "created_at": ListRow.created_at, "updated_at": ListRow.updated_at},
    filters={
        "name": ListRow.name,
        "tenant": _usable_by,
        "kind": among(ListRow.kind, KINDS, "kind"),
        "client_id": ListRow.client_id,
    },
)
ITEMS = Listing(
    row=ListItemRow,
    views=one_by_one(lambda _, row: ItemView(row.value, row.created_at)),
    sorts={"value": ListItemRow.value},
    filters={"value": ListItemRow.value},
    ident="list_id",
)
