"""Statements for many rows, compiled once and handed to the driver as they are.

SQLAlchemy's own path costs 5 to 10 µs a row in parameter handling, more than SQLite needs to insert it;
the values here are all text, numbers, octets and booleans, which both drivers take without conversion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect

_MOST_KEYS = 512
"""Of one SELECT: with 5 columns well under SQLite's limit of 32766 parameters."""


class ManyRows:
    """One statement for any number of rows, each a mapping from parameter names to values."""

    def __init__(
        self, statement: sa.TextClause | sa.Insert, dialect: str, columns: Sequence[str] = ()
    ) -> None:
        """`columns` are those of an insert."""
        compiled = statement.compile(dialect=_dialect(dialect), column_keys=list(columns) or None)
        names = compiled.positiontup
        assert names is not None
        assert len(names) > 1  # itemgetter of one name would give no tuple
        self._text = str(compiled)
        self._values = itemgetter(*names)

    @classmethod
    def insert(cls, table: sa.Table, dialect: str, without: Collection[str] = ()) -> ManyRows:
        """An insert of all columns but those that the database makes, and those in `without`."""
        columns = [
            column.name
            for column in table.columns
            if column.autoincrement is not True
            and column.server_default is None
            and column.name not in without
        ]
        return cls(sa.insert(table).inline(), dialect, columns)

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute for each of `rows`; how many rows of the table were touched in all."""
        with _cursor(connection, self._text) as cursor:
            cursor.executemany(self._text, list(map(self._values, rows)))
            return int(cursor.rowcount)


class ByKeys:
    """A SELECT of rows by a list of keys of several columns each.

    The list stands in the text as VALUES (a JSON parameter costs SQLite three times as much), in sizes
    of a power of two, so that there are only a few texts for the databases to prepare.
    """

    def __init__(self, head: str, tail: str, types: Sequence[str], dialect: str) -> None:
        """`head` ends before the list, as in `SELECT … WHERE (a, b) IN`; `types` are the key's columns'."""
        self._head = head
        self._tail = tail
        mark = "%s" if dialect == "postgresql" else "?"
        self._first = "(" + ", ".join(f"CAST({mark} AS {kind})" for kind in types) + ")"
        self._more = ", (" + ", ".join([mark] * len(types)) + ")"
        self._texts: dict[int, str] = {}

    def execute(self, connection: Connection, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The rows of `keys`, in as many statements as needed."""
        rows: list[Any] = []
        for start in range(0, len(keys), _MOST_KEYS):
            some = keys[start : start + _MOST_KEYS]
            size = 1 << (len(some) - 1).bit_length()
            values = [value for key in some for value in key] + list(some[-1]) * (size - len(some))
            text = self._texts.get(size)
            if text is None:
                text = f"{self._head} (VALUES {self._first}{self._more * (size - 1)}){self._tail}"
                self._texts[size] = text
            with _cursor(connection, text) as cursor:
                cursor.execute(text, values)
                rows += cursor.fetchall()
        return rows


def first_row(connection: Connection, text: str) -> Any | None:
    """The first row of a SELECT without parameters."""
    with _cursor(connection, text) as cursor:
        cursor.execute(text)
        return cursor.fetchone()


@contextmanager
def _cursor(connection: Connection, text: str) -> Iterator[Any]:
    """A cursor of the driver, inside the connection's transaction; errors come out as SQLAlchemy's.

    SQLAlchemy's own execution takes 25 µs a statement more, and a batch of a few messages has ten.
    """
    cursor = connection.connection.cursor()
    dialect = connection.dialect
    errors = dialect.loaded_dbapi.Error
    try:
        yield cursor
    except errors as error:
        is_gone = dialect.is_disconnect(error, connection.connection, cursor)
        raise sa.exc.DBAPIError.instance(
            text, None, error, errors, hide_parameters=True, connection_invalidated=is_gone, dialect=dialect
        ) from error
    finally:
        cursor.close()


def _dialect(name: str) -> Dialect:
    if name == "postgresql":
        return PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
    return SQLiteDialect_pysqlite(paramstyle="qmark")
