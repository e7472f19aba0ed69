"""What a database's driver says, in words that a caller can act on.

    DatabaseAway         not now: 451, try again
    ├── DatabaseFull     no space: 452
    └── DatabaseBusy     another transaction was in the way: the same transaction may succeed at once
    SchemaError          this program and this database do not fit
    ├── SchemaTooNew
    └── SchemaTooOld

Everything else a driver raises (a broken constraint, a wrong statement) is passed on as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc


class DatabaseUrlInvalid(ValueError):
    """The URL names no database that this program can use; the text says why."""


class DatabaseAway(Exception):
    """The database cannot be used now: unreachable, failing, shutting down or read-only."""


class DatabaseFull(DatabaseAway):
    """There is no space left for the database."""


class DatabaseBusy(DatabaseAway):
    """A deadlock or a serialisation failure: nothing was written, and trying again may work at once."""


class SchemaError(Exception):
    """The schema of a database does not fit this program; the text says what to do."""


class SchemaTooNew(SchemaError):
    """The database was upgraded by a newer program, and needs it."""


class SchemaTooOld(SchemaError):
    """The database must be upgraded first, and the configuration says that a person does it."""


_SQLITE_FULL = 13
_SQLITE_AWAY = {
    5: "is locked by another program",
    6: "is locked by another program",
    8: "is read-only",
    10: "has an input/output error",
    11: "is damaged",
    14: "cannot be opened",
    15: "has a locking protocol error",
    26: "is not an SQLite database",
}
# PostgreSQL's SQLSTATE classes (appendix A of its manual).
_BUSY_STATES = ("40001", "40P01", "55P03")
_AWAY_STATES = ("25006", "08", "53", "57P", "58")


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn a driver's errors about the database called `name` into the ones above."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        better = _translate(name, error)
        if better is None:
            raise
        raise better from error
    except sqlalchemy.exc.TimeoutError as error:
        raise DatabaseAway(f"the {name} database has no free connection for us: {error}") from error
    except sqlite3.Error as error:
        better = _translate_sqlite(name, error)
        if better is None:
            raise
        raise better from error


def _translate(name: str, error: sqlalchemy.exc.DBAPIError) -> DatabaseAway | None:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _translate_sqlite(name, original)
    state = getattr(original, "sqlstate", None)
    words = str(original).strip().splitlines()
    text = f"the {name} database is away: {words[0] if words else type(original).__name__}"
    if state == "53100":
        return DatabaseFull(f"the {name} database is out of space")
    if isinstance(state, str):
        if state.startswith(_BUSY_STATES):
            return DatabaseBusy(text)
        if state.startswith(_AWAY_STATES):
            return DatabaseAway(text)
    if error.connection_invalidated or (
        state is None and isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)
    ):
        return DatabaseAway(text)
    return None


def _translate_sqlite(name: str, error: sqlite3.Error) -> DatabaseAway | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    primary = code & 0xFF
    if primary == _SQLITE_FULL:
        return DatabaseFull(f"the {name} database is out of space")
    reason = _SQLITE_AWAY.get(primary)
    return DatabaseAway(f"the {name} database {reason}") if reason is not None else None
