"""Making what is there like what files declare, inside one transaction, and saying what that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.control.declarations.handlers import Handler, Sources, Tenants, Trials, Workspaces
from gateway.control.declarations.judging import Judge
from gateway.control.declarations.schema import TABLES
from gateway.control.declarations.sending import Domains, Lists, Shards, normal_items
from gateway.control.declarations.values import (
    KINDS,
    Declarations,
    Declared,
    FieldChange,
    Kind,
    PlannedChange,
    Value,
    shown_value,
)
from gateway.control.errors import ServiceError
from gateway.control.lookup import name_key
from gateway.control.policies.comparison import DocumentChange
from gateway.control.policies.service import InvalidDocuments
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange
from gateway.system.toml_lines import Problem

if TYPE_CHECKING:
    from gateway.control.services import ControlServices


def handlers(services: ControlServices, session: Session, actor: Actor) -> dict[Kind, Handler]:
    """A handler for each kind of thing."""
    room = (services, session, actor)
    return {
        "source": Sources(*room),
        "tenant": Tenants(*room),
        "trial": Trials(*room),
        "list": Lists(*room),
        "workspace": Workspaces(*room),
        "domain": Domains(*room),
        "shard": Shards(*room),
    }


class Reconciler:
    """One pass over declarations; `changes` and `problems` tell of it. Services are joined to `change`."""

    def __init__(self, services: ControlServices, change: ControlChange, actor: Actor) -> None:
        self._services = services
        self._session = change.session
        self._actor = actor
        self._handlers = handlers(services, change.session, actor)
        self._judge = Judge(change.session, services.settings.locations)
        self._failed: set[str] = set()
        self.changes: list[PlannedChange] = []
        self.problems: list[Problem] = []

    def run(self, declared: Declarations, *, prune: bool) -> None:
        """Make all as declared. With `prune`, what the files do not name of what they speak of goes.

        Of things with mistakes as much is made as can be: what needs them is to be judged too.
        """
        self.problems.extend(declared.problems)
        self._judge.promise(declared.documents)
        if not declared.wrong_documents:
            self._documents(declared.documents)
        for thing in declared.things:
            if thing.tenant is None or name_key(thing.tenant) not in self._failed:
                self._make_what_can_be(thing)
        if prune:
            self._prune(declared)

    def _documents(self, documents: tuple[tuple[str, str], ...]) -> None:
        if not documents:
            return
        try:
            with self._session.begin_nested():
                found = self._services.policies.apply_documents(self._actor, documents)
        except InvalidDocuments as error:
            self.problems.extend(error.problems)
            return
        self.changes.extend(_of_document(one) for one in found if one.change != "unchanged")

    def _make_what_can_be(self, thing: Declared) -> None:
        """Make a thing; where a service refuses one of its keys, tell it and go on without that key."""
        while (key := self._refused_key(thing)) is not None:
            if key not in thing.fields:
                if thing.kind == "tenant":
                    self._failed.add(name_key(thing.name))
                return
            thing = thing.without(key)

    def _refused_key(self, thing: Declared) -> str | None:
        """Make a thing; the key that was refused ("": none of them), which is told, or None: it was made."""
        try:
            with self._session.begin_nested():
                self._make(thing)
        except ServiceError as error:
            key = self._judge.key(thing, error)
            if not self._judge.is_promised(thing, key):
                self._tell(self._judge.problem(thing, key, error))
            return key
        except IntegrityError:
            self._tell(thing.problem("", "it contradicts what is stored"))
            return ""
        return None

    def _tell(self, problem: Problem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _make(self, thing: Declared) -> None:
        handler = self._handlers[thing.kind]
        owner = self._tenant(thing.tenant)
        fields = _normal(thing)
        row = handler.find(owner, thing.name)
        if row is None:
            handler.create(owner, thing.name, fields)
            self._note(thing, "create", {}, fields)
            return
        state = handler.state(row)
        differing = {name: value for name, value in fields.items() if state.get(name) != value}
        for name in [one for one in differing if TABLES[thing.kind].keys[one].fixed]:
            del differing[name]
            was = shown_value(state.get(name))
            self._tell(thing.problem(name, f"it is {was}, and never changes once it is there", was or ""))
        if differing:
            handler.update(row, differing)
            self._note(thing, "update", state, differing)

    def _tenant(self, name: str | None) -> TenantRow | None:
        return self._handlers["tenant"].find(None, name) if name is not None else None

    def _note(self, thing: Declared, action: str, before: dict[str, Value], after: dict[str, Value]) -> None:
        fields = tuple(
            FieldChange(name, shown_value(before.get(name)), shown_value(value))
            for name, value in after.items()
        )
        change = PlannedChange(
            thing.kind, thing.name, thing.tenant, "create" if action == "create" else "update", fields
        )
        self.changes.append(change)

    def _prune(self, declared: Declarations) -> None:
        """Take away what is not named, last things first: of each owner, the kinds that files name."""
        named: dict[tuple[Kind, str | None], set[str]] = {}
        for thing in declared.things:
            named.setdefault((thing.kind, thing.tenant), set()).add(name_key(thing.name))
        for kind, tenant in sorted(named, key=lambda one: -KINDS.index(one[0])):
            delete = getattr(self._handlers[kind], "delete", None)
            if delete is None or (tenant is not None and name_key(tenant) in self._failed):
                continue
            for row in self._handlers[kind].rows(self._tenant(tenant)):
                name = self._handlers[kind].name(row)
                if name_key(name) not in named[kind, tenant]:
                    self._take_away(kind, tenant, row)

    def _take_away(self, kind: Kind, tenant: str | None, row: object) -> None:
        handler = self._handlers[kind]
        name = handler.name(row)
        try:
            with self._session.begin_nested():
                handler.delete(row)  # type: ignore[attr-defined]
        except ServiceError as error:
            self.problems.append(Problem("", 0, f"{kind} {name}", f"{error.detail} {error.fix}".strip()))
            return
        self.changes.append(PlannedChange(kind, name, tenant, "delete"))


def _normal(thing: Declared) -> dict[str, Value]:
    """The fields as they are kept: a list's items are read by its kind. Raises Invalid."""
    fields = dict(thing.fields)
    if thing.kind == "list" and "items" in fields:
        fields["items"] = normal_items(fields.get("kind"), fields["items"])
    return fields


def _of_document(one: DocumentChange) -> PlannedChange:
    fields = tuple(FieldChange(key.key, key.before, key.after) for key in one.keys)
    return PlannedChange(one.kind, one.name, None, "create" if one.change == "new" else "update", fields)
