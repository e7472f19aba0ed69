"""Lists: made, filled, emptied, named by rules. Every process has them in memory within a second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.ceilings import LIST_ITEMS, LISTS, leave_room
from gateway.control.clientids import set_client_id
from gateway.control.errors import Conflict, Forbidden, Invalid
from gateway.control.lists.items import MOST_IN_ALL, parse_items
from gateway.control.lists.model import KINDS, SHARED, ListItemRow, ListRow
from gateway.control.lists.view import ITEMS, LISTING, ItemView, ListView, list_view
from gateway.control.lookup import clean_metadata, clean_reason, find, shown
from gateway.control.paging import Page, PageQuery, read_page
from gateway.control.policies.lists import LIST_NAME, LIST_NAME_RULE
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.tenants.find import changeable_tenant
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible


class ListService:
    """Rules and transactions of lists: a tenant's own, or the operator's for every tenant."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def create(
        self,
        actor: Actor,
        name: str,
        kind: str,
        *,
        tenant: str | None = None,
        items: Iterable[str] = (),
        description: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ListView:
        """Make a list of `kind` domain, tld or address, shared without `tenant`, with up to 1000 items.

        Raises Invalid, Conflict (the name), NotFound, Forbidden (a shared one, for a limited caller).
        """
        if kind not in KINDS:
            raise Invalid("bad-kind", f"{shown(kind)} is no kind of list.", f"Choose {', '.join(KINDS)}.")
        clean, pairs, values = _name(name), clean_metadata(metadata), parse_items(kind, items, fewest=0)
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant) if tenant is not None else None
            if owner is None or not actor.spans_tenant:
                _operator_only(actor)
            row = ListRow(
                id=change.ids.uuid(),
                name=clean,
                owner=owner.id if owner is not None else SHARED,
                tenant_id=owner.id if owner is not None else None,
                kind=kind,
                description=clean_reason(description),
                metadata_=pairs,
                created_at=change.now,
                updated_at=change.now,
            )
            _refuse_taken(change.session, row.owner, clean)
            leave_room(change.session, actor, LISTS, ListRow.id, ListRow.owner == row.owner)
            set_client_id(change.session, row, client_id)
            change.add(row)
            _add(change, row, values)
            return _audited(change, "list.create", None, row, added=values)

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        name: str | None = None,
        description: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ListView:
        """Change what is given, leave what is None; rules name a list by its name of the moment.

        Raises NotFound, Invalid, Conflict, Forbidden.
        """
        with self._writes.change(actor) as change:
            row = _changeable(change.session, actor, reference)
            before = list_view(change.session, row)
            if name is not None and _name(name) != row.name:
                _refuse_taken(change.session, row.owner, _name(name))
                row.name = _name(name)
            if description is not None:
                row.description = clean_reason(description)
            set_client_id(change.session, row, client_id)
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            return _audited(change, "list.update", before, row)

    def add_items(self, actor: Actor, reference: str, items: Iterable[str]) -> ListView:
        """Add up to 1000 items; those that are there stay. Raises NotFound, Invalid, Conflict, Forbidden."""
        with self._writes.change(actor) as change:
            row = _changeable(change.session, actor, reference)
            before, values = list_view(change.session, row), parse_items(row.kind, items)
            there = set(_present(change.session, row, values))
            new = [value for value in values if value not in there]
            if not new:
                return before
            _add(change, row, new)
            return _audited(change, "list.items.add", before, row, added=new)

    def remove_items(self, actor: Actor, reference: str, items: Iterable[str]) -> ListView:
        """Take up to 1000 items out; those that are not there are left out. Raises NotFound, Invalid."""
        with self._writes.change(actor) as change:
            row = _changeable(change.session, actor, reference)
            before = list_view(change.session, row)
            gone = _present(change.session, row, parse_items(row.kind, items))
            if not gone:
                return before
            _remove(change.session, row, gone)
            return _audited(change, "list.items.remove", before, row, removed=gone)

    def replace_items(self, actor: Actor, reference: str, items: Iterable[str]) -> ListView:
        """Let these, up to 1000, be all that stands in a list. Raises NotFound, Invalid, Forbidden."""
        with self._writes.change(actor) as change:
            row = _changeable(change.session, actor, reference)
            before, values = list_view(change.session, row), parse_items(row.kind, items, fewest=0)
            known = sa.select(ListItemRow.value).where(ListItemRow.list_id == row.id)
            old = set(change.session.scalars(known))
            new, gone = [one for one in values if one not in old], sorted(old.difference(values))
            if not new and not gone:
                return before
            _remove(change.session, row, gone)
            _add(change, row, new)
            return _audited(change, "list.items.replace", before, row, added=new, removed=gone)

    def delete(self, actor: Actor, reference: str) -> ListView:
        """Take a list away, at once: rules that name it find nothing in it. Returns what it was.

        Raises NotFound, Forbidden.
        """
        with self._writes.change(actor) as change:
            row = _changeable(change.session, actor, reference)
            view = list_view(change.session, row)
            change.session.execute(sa.delete(ListItemRow).where(ListItemRow.list_id == row.id))
            change.session.delete(row)
            before = payload(view)
            change.audit("list.delete", "list", row.id, tenant_id=row.tenant_id, before=before, after=None)
            change.changed("list", row.id, tenant_id=row.tenant_id)
            change.result = before
            return view

    def page(self, actor: Actor, query: PageQuery) -> Page[ListView]:
        """A page of the lists the caller may see.

        Filters: name, tenant (its own and the shared ones; "shared": these alone), kind, client_id,
        metadata.KEY. Sorts: name, created_at, updated_at. Raises Invalid, NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, ListRow))

    def items(self, actor: Actor, reference: str, query: PageQuery) -> Page[ItemView]:
        """A page of what stands in a list, sorted. Filters: value. Raises NotFound, Invalid."""
        with self._writes.view() as session:
            row = _find(session, actor, reference)
            return read_page(session, actor, ITEMS, query, ListItemRow.list_id == row.id)

    def show(self, actor: Actor, reference: str) -> ListView:
        """One list by name or id. Raises NotFound, Conflict (a name that several tenants use)."""
        with self._writes.view() as session:
            return list_view(session, _find(session, actor, reference))


def _find(session: Session, actor: Actor, reference: str) -> ListRow:
    """A list by name or id; for a caller of one tenant its own comes before a shared one."""
    if actor.tenant_id is not None:
        own = sa.select(ListRow).where(
            ListRow.owner == actor.tenant_id, ListRow.name == reference, visible(actor, ListRow)
        )
        found = session.scalars(own).one_or_none()
        if found is not None:
            return found
    return find(
        session,
        ListRow,
        reference,
        kind="list",
        name=ListRow.name,
        key=reference,
        visible=visible(actor, ListRow),
    )


def _changeable(session: Session, actor: Actor, reference: str) -> ListRow:
    row = _find(session, actor, reference)
    if row.tenant_id is None:
        _operator_only(actor)
    return row


def _name(name: str) -> str:
    if not LIST_NAME.fullmatch(name):
        raise Invalid("bad-name", f"{shown(name)} cannot be the name of a list.", f"Use {LIST_NAME_RULE}.")
    return name


def _refuse_taken(session: Session, owner: str, name: str) -> None:
    taken = sa.select(ListRow.id).where(ListRow.owner == owner, ListRow.name == name)
    if session.scalar(taken) is not None:
        raise Conflict("list-exists", f"There is a list {name} already.", "Choose another name.")


def _present(session: Session, row: ListRow, values: list[str]) -> list[str]:
    statement = sa.select(ListItemRow.value).where(
        ListItemRow.list_id == row.id, ListItemRow.value.in_(values)
    )
    return sorted(session.scalars(statement))


def _add(change: ControlChange, row: ListRow, values: list[str]) -> None:
    owners = ListItemRow.list_id.in_(sa.select(ListRow.id).where(ListRow.owner == row.owner))
    leave_room(change.session, change.actor, LIST_ITEMS, ListItemRow.list_id, owners, coming=len(values))
    count = sa.select(sa.func.count()).where(ListItemRow.list_id == row.id)
    there = change.session.scalar(count) or 0
    if there + len(values) > MOST_IN_ALL:
        raise Conflict(
            "list-full",
            f"{row.name} has {there} items, and {MOST_IN_ALL} is the most.",
            "Remove some, or make another list and name both in the rule.",
        )
    change.session.add_all(ListItemRow(list_id=row.id, value=one, created_at=change.now) for one in values)
    change.session.flush()


def _remove(session: Session, row: ListRow, values: list[str]) -> None:
    for start in range(0, len(values), 1_000):
        some = values[start : start + 1_000]
        session.execute(
            sa.delete(ListItemRow).where(ListItemRow.list_id == row.id, ListItemRow.value.in_(some))
        )


def _audited(
    change: ControlChange,
    operation: str,
    before: ListView | None,
    row: ListRow,
    *,
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
) -> ListView:
    row.updated_at = change.now
    change.session.flush()
    after = list_view(change.session, row)
    record(change, operation, "list", before, after, added=list(added), removed=list(removed))
    return after


def _operator_only(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden("operator-only", "Shared lists are the operator's.", "Name a tenant of your own.")
