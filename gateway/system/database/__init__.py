"""The databases: SQLite files and PostgreSQL behind one small door.

`Database.open(url, purpose=…)`, then `write()`, `read()`, `checkpoint()`, `close()`; `upgrade()` brings a
schema up to date. Made after a fork only: a Database refuses to work in another process than its own.
"""

from gateway.system.database.engine import ChangeProbe, Database
from gateway.system.database.errors import (
    DatabaseAway,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUrlInvalid,
    SchemaError,
    SchemaTooNew,
    SchemaTooOld,
    translated,
)
from gateway.system.database.schema import SchemaState, refuse_newer, schema_state, upgrade

__all__ = [
    "ChangeProbe",
    "Database",
    "DatabaseAway",
    "DatabaseBusy",
    "DatabaseFull",
    "DatabaseUrlInvalid",
    "SchemaError",
    "SchemaState",
    "SchemaTooNew",
    "SchemaTooOld",
    "refuse_newer",
    "schema_state",
    "translated",
    "upgrade",
]
