"""The audit of the whole installation: the control database's chain and each location's."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from heapq import merge
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from gateway.control.audit.adoption import HEADS
from gateway.control.audit.chain import AuditVerdict, follow
from gateway.control.audit.entries import (
    AuditQuery,
    AuditView,
    Condition,
    for_caller,
    newest,
    oldest_first,
)
from gateway.control.audit.head import CONTROL, Head, head_seal, parse_head
from gateway.control.audit.model import AuditEntryRow
from gateway.control.audit.service import reference_condition
from gateway.control.audit.whose import find_tenant_id
from gateway.control.errors import Invalid, Unavailable
from gateway.control.lookup import not_found
from gateway.control.paging import Page
from gateway.control.records import Actor
from gateway.control.schema import metadata
from gateway.control.visibility import visible
from gateway.system.database import Database, DatabaseAway

T = TypeVar("T")


class AuditTrail:
    """Reads every chain of an installation. Methods raise Unavailable if a database is away."""

    def __init__(self, control: Database, locations: Mapping[str, Database], audit_key: bytes) -> None:
        """`audit_key`: the key of all chains. A location called `control` is shown as `location:control`."""
        metadata()
        self._audit_key = audit_key
        self._databases = {CONTROL: control}
        for name, database in locations.items():
            self._databases[f"location:{name}" if name == CONTROL else name] = database
        self._log = structlog.get_logger("gateway.control.audit")

    @property
    def locations(self) -> dict[str, Database]:
        """The locations' databases, by the names that entries have."""
        return {name: database for name, database in self._databases.items() if name != CONTROL}

    def list(
        self,
        actor: Actor,
        query: AuditQuery | None = None,
        *,
        tenant: str | None = None,
        database: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[AuditView]:
        """Entries of all chains (or of one `database`), newest first, and the cursor to go on with.

        `tenant` is a name or id, as well as the query's; for the operator also the id of one that is gone.
        Raises NotFound (the tenant, the database), Invalid (the cursor).
        """
        conditions = self._wanted(actor, query or AuditQuery(), tenant)
        places = _read_cursor(cursor)
        chains = []
        for name in self._chosen(database):
            here = [*conditions, AuditEntryRow.number < places[name]] if name in places else conditions
            chains.append(self._read(name, partial(_newest, here, limit + 1, name)))
        # By time, but each chain in its own order: that is what the cursor's numbers are of.
        found = list(merge(*chains, key=lambda one: -one.at))
        items = found[:limit]
        told = tuple(for_caller(actor, one) for one in items)
        if len(found) <= limit:
            return Page(told)
        return Page(told, _write_cursor({**places, **{one.database: one.number for one in items}}))

    def show(self, actor: Actor, reference: str, database: str | None = None) -> AuditView:
        """One entry by its id, or by its number in one `database` ("control" unless said).

        Raises NotFound.
        """
        wanted = [reference_condition(reference), visible(actor, AuditEntryRow)]
        by_number = reference.isascii() and reference.isdigit()
        if by_number and not actor.is_operator:
            # A number that is another's and one that is its own would tell how many there are.
            raise not_found("audit", reference)
        for name in self._chosen(database or (CONTROL if by_number else None)):
            found = self._read(name, partial(_one, wanted, name))
            if found is not None:
                return for_caller(actor, found)
        raise not_found("audit", reference)

    def export(
        self, actor: Actor, query: AuditQuery | None = None, *, tenant: str | None = None
    ) -> Iterator[AuditView]:
        """Those entries of all chains, oldest first; those of one chain stay in its order.

        They are read a page at a time. Raises NotFound (the tenant) before the first.
        """
        conditions = self._wanted(actor, query or AuditQuery(), tenant)
        chains = [
            oldest_first(partial(self._view, name), conditions, name) for name in sorted(self._databases)
        ]
        return (for_caller(actor, one) for one in merge(*chains, key=lambda one: one.at))

    def verify(self, logged: Iterable[str] = ()) -> tuple[AuditVerdict, ...]:
        """Follow every chain to its head; each verdict names its database and what is wrong first.

        `logged`: heads that were kept elsewhere, as `parse_head` reads them. Raises Invalid, NotFound (the
        database).
        """
        heads: dict[str, list[Head]] = defaultdict(list)
        for database, head in map(parse_head, logged):
            heads[self._chosen(database)[0]].append(head)
        return tuple(self._read(name, partial(self._follow, name, heads[name])) for name in self._databases)

    def heads(self) -> dict[str, Head]:
        """Where each chain ends now."""
        return {name: self._read(name, partial(_head, self._audit_key, name)) for name in self._databases}

    def log_heads(self) -> None:
        """Write every chain's head to the log: a copy elsewhere that a forger would have to change too."""
        for name, head in self.heads().items():
            self._log.info("audit_head", database=name, number=head.number, hash=head.hash)

    def _wanted(self, actor: Actor, query: AuditQuery, tenant: str | None) -> Sequence[Condition]:
        conditions = [visible(actor, AuditEntryRow), *query.conditions()]
        if tenant is not None:
            with self._view(CONTROL) as session:
                conditions.append(AuditEntryRow.tenant_id == find_tenant_id(session, actor, tenant))
        return conditions

    def _follow(self, name: str, logged: Sequence[Head], session: Session) -> AuditVerdict:
        return follow(session, self._audit_key, _head(self._audit_key, name, session), name, logged)

    def _chosen(self, database: str | None) -> tuple[str, ...]:
        if database is None:
            return tuple(self._databases)
        if database not in self._databases:
            raise not_found("database", database, f"Choose from {', '.join(self._databases)}.")
        return (database,)

    def _read(self, name: str, function: Callable[[Session], T]) -> T:
        with self._view(name) as session:
            return function(session)

    @contextmanager
    def _view(self, name: str) -> Iterator[Session]:
        try:
            with self._databases[name].read() as connection, Session(connection) as session:
                yield session
        except DatabaseAway as error:
            raise Unavailable(
                "database-away",
                f"The database {name} is away, and its audit with it.",
                "Try again; `gatepost doctor` looks at it.",
            ) from error


def _newest(
    conditions: Sequence[Condition], limit: int, name: str, session: Session
) -> tuple[AuditView, ...]:
    return newest(session, conditions, limit, name)


def _one(conditions: Sequence[Condition], name: str, session: Session) -> AuditView | None:
    return next(iter(newest(session, conditions, 1, name)), None)


def _head(key: bytes, name: str, session: Session) -> Head:
    row = session.execute(HEADS["control" if name == CONTROL else "location"]).one_or_none()
    if row is not None:
        return Head(row.number, row.hash, row.seal)
    # A location without any entry has no head yet.
    return Head(0, "", head_seal(key, 0, ""))


def _write_cursor(places: Mapping[str, int | None]) -> str:
    text = json.dumps(places, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> dict[str, int]:
    if cursor is None:
        return {}
    try:
        octets = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        places = json.loads(octets)
        if not isinstance(places, dict) or not all(map(_is_number, places.values())):
            raise ValueError("no places")
    except (ValueError, RecursionError, binascii.Error) as error:
        raise Invalid(
            "bad-cursor",
            "The cursor is not one of this list.",
            "Start without a cursor and follow the one each page gives.",
        ) from error
    return places


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63
