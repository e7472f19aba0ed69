"""A location's events for the feed, in an order in which nothing is ever slipped in later.

SQLite's writers take turns, so that row numbers are in the order of the commits. On PostgreSQL
transactions commit in another order than they number their rows: there the order is by the number of the
transaction, and nothing is read from a transaction as long as an older one is still going on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.control.events.idents import EventIds
from gateway.control.events.source import Position, SourcePage, Wanted
from gateway.control.events.types import Event
from gateway.outgoing.queue import outboxrows, tables
from gateway.system.database import Database

_WINDOW = 500

Select = sa.Select[Any]
Rows = Callable[[], Select]
Reader = Callable[[Any, str], Event | None]


def location_sources(name: str, database: Database, ids: EventIds) -> tuple[LocationEvents, LocationEvents]:
    """The sources of one location: its messages' events, and its refused submissions."""
    return (
        LocationEvents(
            f"location:{name}", database, ids, tables.event, outboxrows.event_rows, outboxrows.event_of
        ),
        LocationEvents(
            f"refused:{name}", database, ids, tables.refused, outboxrows.refused_rows, outboxrows.refusal_of
        ),
    )


class LocationEvents:
    """One table of a location's database as a source; positions are (transaction, row number)."""

    def __init__(
        self,
        name: str,
        database: Database,
        ids: EventIds,
        table: sa.Table,
        rows: Callable[[Wanted], Select],
        make: Reader,
    ) -> None:
        """`rows` selects what a reader wants, `make` makes its events of it; cursors name it `name`."""
        self.name = name
        self._ids = ids
        self._database = database
        self._table = table
        self._rows = rows
        self._make = make

    def read(self, after: Position, limit: int, wanted: Wanted) -> SourcePage:
        """See EventSource. Looks through a bounded number of rows, whoever they belong to."""
        with self._database.read() as connection:
            window = connection.execute(self._window(after)).all()
            if not window:
                # A position after the end is of a database that a backup has replaced since.
                return SourcePage((), min(after, self._end(connection)), False)
            end: Position = tuple(window[-1])
            query = self._rows(wanted).where(self._after(after), self._up_to(end)).order_by(*self._order)
            rows = connection.execute(query.limit(limit)).all()
        found = self._events(rows, wanted)
        full = len(rows) == limit
        reached = (rows[-1].xact, rows[-1].id) if full else end
        return SourcePage(found, reached, full or len(window) == _WINDOW)

    def head(self) -> Position:
        """See EventSource."""
        with self._database.read() as connection:
            return self._end(connection)

    def oldest(self, since: float) -> Position:
        """See EventSource. Times of neighbours may be swapped by as much as clocks and batches differ."""
        with self._database.read() as connection:
            return self._halve(connection, since - _SWAPPED_SECONDS)

    def _events(self, rows: Sequence[Any], wanted: Wanted) -> tuple[tuple[Position, Event], ...]:
        made = (((row.xact, row.id), self._make(row, self._ids.of(self.name, row.id))) for row in rows)
        return tuple((place, event) for place, event in made if event is not None and wanted.admits(event))

    def _end(self, connection: Connection) -> Position:
        last = self._keys().order_by(*(column.desc() for column in self._order)).limit(1)
        row = connection.execute(last).first()
        return tuple(row) if row is not None else (0, 0)

    def _halve(self, connection: Connection, since: float) -> Position:
        by_number = self._database.dialect == "postgresql"
        key = self._table.c.xact if by_number else self._table.c.id
        low, high = 0, (connection.scalar(sa.select(sa.func.max(key))) or 0) + 1
        while low < high:
            middle = (low + high) // 2
            first = sa.select(key, self._table.c.at).where(key >= middle).order_by(key).limit(1)
            row = connection.execute(first).first()
            if row is None or row.at >= since:
                high = middle
            else:
                low = row[0] + 1
        # All of a transaction's rows are in: its number alone is before each of them.
        return (low, 0) if by_number else (0, max(0, low - 1))

    @property
    def _order(self) -> tuple[sa.Column[Any], ...]:
        return (self._table.c.xact, self._table.c.id) if self._by_number else (self._table.c.id,)

    @property
    def _by_number(self) -> bool:
        return self._database.dialect == "postgresql"

    def _window(self, after: Position) -> Select:
        return self._keys().where(self._after(after)).order_by(*self._order).limit(_WINDOW)

    def _keys(self) -> Select:
        keys = sa.select(self._table.c.xact, self._table.c.id)
        return keys.where(_SETTLED) if self._by_number else keys

    def _after(self, position: Position) -> sa.ColumnElement[bool]:
        if not self._by_number:
            return self._table.c.id > position[1]
        number = sa.literal(position[0], sa.BigInteger)
        # A number of the future is of a server before this one: see `renumber_restored`.
        place = sa.tuple_(sa.case((number >= _NEXT, 0), else_=number), sa.literal(position[1], sa.BigInteger))
        return sa.tuple_(self._table.c.xact, self._table.c.id) > place

    def _up_to(self, position: Position) -> sa.ColumnElement[bool]:
        if self._by_number:
            return sa.tuple_(self._table.c.xact, self._table.c.id) <= position
        return self._table.c.id <= position[1]


_SWAPPED_SECONDS = 60.0

_OLDEST_OPEN: sa.ColumnElement[int] = sa.literal_column(
    "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
)
_NEXT: sa.ColumnElement[int] = sa.literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_SETTLED = sa.literal_column("xact") < _OLDEST_OPEN


def renumber_restored(database: Database) -> int:
    """After a dump was restored on another PostgreSQL server: take its rows for the oldest; how many.

    That server counts its transactions from the beginning, and the rows' numbers are of its future. Among
    themselves they stay in the order of their row numbers. Raises DatabaseAway.
    """
    if database.dialect != "postgresql":
        return 0
    changed = 0
    with database.write() as connection:
        for table in (tables.event, tables.refused):
            query = sa.update(table).where(table.c.xact > _NEXT).values(xact=0)
            changed += connection.execute(query).rowcount
    return changed
