"""One database, opened by one process: transactions that write, transactions that read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import QueuePool

from gateway.system.database.errors import DatabaseAway, DatabaseUrlInvalid, translated
from gateway.system.database.turns import WriterTurns

Dialect = Literal["sqlite", "postgresql"]

# Only programs that ignore our lock file can be in the way for so long.
_BUSY_MILLISECONDS = 5000
_READERS = 8
# A client that hands over a message hears 451 within 5 s, also where the server is silent.
_CONNECT_SECONDS = 3
_SILENCE_MILLISECONDS = 4000


class Database:
    """One database of this process; share it between threads, never across a fork.

    Errors of the driver that mean "not now" come out of `write`, `read` and `checkpoint` as DatabaseAway
    (DatabaseFull, DatabaseBusy); others are SQLAlchemy's.
    """

    def __init__(self, engine: Engine, readers: Engine, *, purpose: str, path: Path | None) -> None:
        """Use `open`. `path` is the file of an SQLite database, None for PostgreSQL."""
        self.engine = engine
        self.purpose = purpose
        self.path = path
        self.dialect: Dialect = "postgresql" if path is None else "sqlite"
        self._readers = readers
        self._turns = WriterTurns(path.with_name(path.name + ".lock")) if path is not None else None
        self._process = os.getpid()

    @classmethod
    def open(cls, url: str, *, purpose: str) -> Database:
        """Open the database at `url`; `purpose` ("control", a location's name) names it in errors.

        An SQLite file is made (mode 0600) if it is not there; its folder must be. PostgreSQL is not
        contacted yet. Raises DatabaseUrlInvalid, DatabaseAway.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            return cls._open_sqlite(Path(str(parsed.database)), purpose)
        engine = sa.create_engine(
            parsed,
            pool_size=4,
            max_overflow=_READERS,
            pool_timeout=_CONNECT_SECONDS,
            # A server that was started again is met at the next use, not after one failure a connection.
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "tcp_user_timeout": _SILENCE_MILLISECONDS,
                "application_name": f"gatepost-{purpose}",
            },
        )
        # A read sees one moment, as on SQLite.
        readers = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return cls(engine, readers, purpose=purpose, path=None)

    @classmethod
    def _open_sqlite(cls, path: Path, purpose: str) -> Database:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            writer, readers = _sqlite_engine(path, writer=True), _sqlite_engine(path, writer=False)
            database = cls(writer, readers, purpose=purpose, path=path)
        except OSError as error:
            raise DatabaseAway(
                f"the {purpose} database {path} cannot be opened: {error.strerror}; "
                "check that the folder exists and belongs to the user that runs gatepost"
            ) from error
        with database._turn(), translated(purpose), database.engine.connect() as connection:
            _driver(connection).execute("PRAGMA journal_mode=WAL")
        return database

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back if the block raises.

        SQLite: waits for this file's turn (other processes included), then BEGIN IMMEDIATE, so that
        nothing read inside can be stale. PostgreSQL: READ COMMITTED; lock what you decide on.
        """
        with self._turn(), translated(self.purpose), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A short read-only transaction that sees one moment of the database; keep it short."""
        self._check_process()
        with translated(self.purpose), self._readers.connect() as connection:
            yield connection
            connection.rollback()

    def probe(self) -> ChangeProbe:
        """A cheap way to ask again and again whether anything was committed."""
        self._check_process()
        return ChangeProbe(self)

    def checkpoint(self, truncate: bool = False) -> None:
        """SQLite: move the log into the file, in a turn of its own; PostgreSQL: nothing to do.

        `truncate` also waits for readers to end (they must, soon) and empties the log file.
        """
        if self.path is None:
            return
        mode = "TRUNCATE" if truncate else "PASSIVE"
        with self._turn(), translated(self.purpose), self.engine.connect() as connection:
            _driver(connection).execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def close(self) -> None:
        """Close all connections; nothing of it works afterwards."""
        self._readers.dispose()
        self.engine.dispose()
        if self._turns is not None:
            self._turns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A connection outside any transaction, alone among the writers of an SQLite file.

        For schema upgrades; the caller begins and commits.
        """
        with self._turn(), translated(self.purpose), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._check_process()
        with self._turns.turn() if self._turns is not None else nullcontext():
            yield

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(f"the {self.purpose} database was opened before this process was forked")


class ChangeProbe:
    """Asks "has anything been committed since I last asked?", by any process but this connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._seen: int | None = None

    def changed(self) -> bool:
        """True when something may have been committed; PostgreSQL always says so. Raises DatabaseAway."""
        if self._database.dialect == "postgresql":
            return True
        with translated(self._database.purpose):
            if self._connection is None:
                self._connection = self._database._readers.connect()
            row = _driver(self._connection).execute("PRAGMA data_version").fetchone()
        version = int(row[0])
        changed = version != self._seen
        self._seen = version
        return changed

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def parse_url(url: str) -> URL:
    """The URL with the driver named. Raises DatabaseUrlInvalid."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise DatabaseUrlInvalid("it is no URL; write sqlite:////folder/file.db or postgresql://…") from error
    name = parsed.drivername
    if name in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise DatabaseUrlInvalid(
                "name a file: sqlite:////folder/file.db (four slashes: an absolute path)"
            )
        return parsed
    if name in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise DatabaseUrlInvalid(f"{name} is not supported; use sqlite or postgresql")


def _sqlite_engine(path: Path, *, writer: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=_BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False
        )
        for pragma in _pragmas(writer):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = sa.create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=1 if writer else 2,
        max_overflow=0 if writer else _READERS,
        pool_timeout=_CONNECT_SECONDS,
    )
    begin = "BEGIN IMMEDIATE" if writer else "BEGIN"

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver begins nothing by itself (isolation_level=None).
        connection.exec_driver_sql(begin)

    return engine


def _pragmas(writer: bool) -> tuple[str, ...]:
    common = ("foreign_keys=ON", "temp_store=MEMORY", "cache_size=-8000")
    if writer:
        return ("synchronous=FULL", "wal_autocheckpoint=0", *common)
    return ("query_only=ON", *common)


def _driver(connection: Connection) -> Any:
    """The driver's own connection, for statements that must stand outside a transaction."""
    return connection.connection.driver_connection
