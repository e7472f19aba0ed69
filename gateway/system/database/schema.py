"""Bringing a database's schema up to this program's, or refusing one that is too new.

Revisions are numbered "0001", "0002", … in `gateway/system/migrations/{control,location}/versions`. Each
script names in `oldest` the number a program must know to use the schema after it: a revision that only
adds leaves it as it was, so that nodes of one installation can be upgraded one by one.
The table `schema_version` holds both numbers; Alembic's own table names the same revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.system.database.engine import Database
from gateway.system.database.errors import SchemaError, SchemaTooNew, SchemaTooOld

Which = Literal["control", "location"]
Mode = Literal["auto", "manual", "check"]

_SCRIPTS = Path(__file__).parent.parent / "migrations"
# Any number will do, as long as all programs take the same one.
_ADVISORY_LOCK = {"control": 0x67617465_01, "location": 0x67617465_02}

_table = sa.Table(
    "schema_version",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("oldest", sa.Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class SchemaState:
    """A database's schema number (0: empty), the oldest program's that may use it, and this program's."""

    version: int
    oldest: int
    program: int

    @property
    def is_current(self) -> bool:
        """Whether this program can use the database as it is."""
        return self.version >= self.program and self.oldest <= self.program


def schema_state(database: Database, which: Which) -> SchemaState:
    """The numbers of a database, read only. Raises DatabaseAway."""
    with database.read() as connection:
        return _state(connection, which)


def refuse_newer(database: Database, which: Which) -> None:
    """Look at a database before anything is done to any: raises SchemaTooNew, DatabaseAway."""
    _refuse_newer(schema_state(database, which), database.purpose)


def upgrade(database: Database, which: Which, mode: Mode = "auto") -> SchemaState:
    """Bring the schema up to date in one transaction, one process at a time; returns the new state.

    "manual" and "check" change nothing: they raise SchemaTooOld where something is to be done.
    Raises SchemaTooNew (and touches nothing), SchemaTooOld, SchemaError, DatabaseAway.
    """
    state = schema_state(database, which)
    _refuse_newer(state, database.purpose)
    if state.is_current:
        return state
    if mode != "auto":
        raise SchemaTooOld(
            f"The {database.purpose} database has schema {state.version}, this program needs "
            f'{state.program}. Run "gatepost db upgrade" (make a backup first), or remove migrate = "manual" '
            "from [control]."
        )
    with database.exclusive() as connection:
        return _upgrade(connection, database, which)


def _upgrade(connection: Connection, database: Database, which: Which) -> SchemaState:
    with _foreign_keys_off(connection, database), connection.begin():
        if database.dialect == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK[which])))
        state = _state(connection, which)  # another process may have been faster
        _refuse_newer(state, database.purpose)
        if state.is_current:
            return state
        _run_scripts(connection, which)
        _check_foreign_keys(connection, database)
        return _write_state(connection, which)


def _refuse_newer(state: SchemaState, name: str) -> None:
    if state.oldest > state.program:
        raise SchemaTooNew(
            f"The {name} database has schema {state.version}, which needs a program that knows schema "
            f"{state.oldest}; this one knows {state.program}. Install the newer gatepost again, or restore a "
            "backup from before its upgrade. Nothing was changed."
        )


def _state(connection: Connection, which: Which) -> SchemaState:
    program = int(_head(which))
    inspector = sa.inspect(connection)
    if not inspector.has_table("schema_version"):
        if inspector.has_table("alembic_version"):
            raise SchemaError(
                "The database was upgraded by another tool than gatepost: it has no schema_version table."
            )
        return SchemaState(0, 0, program)
    row = connection.execute(sa.select(_table.c.version, _table.c.oldest)).one()
    return SchemaState(row.version, row.oldest, program)


def _write_state(connection: Connection, which: Which) -> SchemaState:
    head = _head(which)
    script = _scripts(which).get_revision(head)
    oldest = int(script.module.oldest)
    _table.create(connection, checkfirst=True)
    connection.execute(_table.delete())
    connection.execute(_table.insert().values(id=1, version=int(head), oldest=oldest))
    return SchemaState(int(head), oldest, int(head))


def _run_scripts(connection: Connection, which: Which) -> None:
    # Alembic is only needed where there is something to do: it costs a quarter of a second to import.
    from alembic import command

    config = _config(which)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config(which: Which) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS / which).replace("%", "%%"))
    return config


def _scripts(which: Which) -> Any:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config(which))


def _head(which: Which) -> str:
    """The newest revision's number, from the names of the scripts (0001_words.py)."""
    scripts = (_SCRIPTS / which / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")
    numbers = sorted(path.name[:4] for path in scripts)
    if not numbers:
        raise SchemaError(f"This installation lacks its {which} schema scripts: install gatepost again.")
    return numbers[-1]


@contextmanager
def _foreign_keys_off(connection: Connection, database: Database) -> Iterator[None]:
    """SQLite rebuilds a table by dropping it, which would cascade to its children.

    The switch only works outside a transaction; `_check_foreign_keys` looks before the commit.
    """
    if database.dialect != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _check_foreign_keys(connection: Connection, database: Database) -> None:
    if database.dialect != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise SchemaError(
            f"The upgrade of the {database.purpose} database would leave {len(broken)} rows without their "
            "parents; it was undone. Restore a backup or report this."
        )
