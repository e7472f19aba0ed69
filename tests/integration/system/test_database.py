"""Transactions on real databases: what commits, what rolls back, who waits for whom."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.system.database import Database, DatabaseAway, DatabaseFull, DatabaseUrlInvalid

COUNT = sa.text("SELECT n FROM counter")


@pytest.fixture
def counter_url(database_url: str) -> str:
    with Database.open(database_url, purpose="test") as database, database.write() as connection:
        connection.execute(sa.text("CREATE TABLE counter (n INTEGER NOT NULL)"))
        connection.execute(sa.text("INSERT INTO counter VALUES (0)"))
    return database_url


def _add(url: str, times: int) -> None:
    with Database.open(url, purpose="test") as database:
        for _ in range(times):
            with database.write() as connection:
                # Read, then write: only exclusion makes this exact on SQLite, a row lock on PostgreSQL.
                lock = " FOR UPDATE" if database.dialect == "postgresql" else ""
                value = connection.execute(sa.text(f"SELECT n FROM counter{lock}")).scalar_one()
                connection.execute(sa.text("UPDATE counter SET n = :n"), {"n": value + 1})
            database.checkpoint()


def test_a_write_is_committed_at_the_end(counter_url: str) -> None:
    _add(counter_url, 3)
    with Database.open(counter_url, purpose="test") as database, database.read() as connection:
        assert connection.execute(COUNT).scalar_one() == 3


def test_a_write_that_raises_leaves_nothing(counter_url: str) -> None:
    with Database.open(counter_url, purpose="test") as database:
        with pytest.raises(KeyError), database.write() as connection:
            connection.execute(sa.text("UPDATE counter SET n = 7"))
            raise KeyError
        with database.read() as connection:
            assert connection.execute(COUNT).scalar_one() == 0


def test_a_read_sees_one_moment_and_cannot_write(counter_url: str) -> None:
    with Database.open(counter_url, purpose="test") as database:
        with database.read() as connection:
            assert connection.execute(COUNT).scalar_one() == 0
            _add(counter_url, 1)
            assert connection.execute(COUNT).scalar_one() == 0
        with pytest.raises((sa.exc.DBAPIError, DatabaseAway)), database.read() as connection:
            connection.execute(sa.text("UPDATE counter SET n = 7"))


def test_processes_take_turns(counter_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add, args=(counter_url, 60)) for _ in range(2)]
    for process in processes:
        process.start()
    threads = [threading.Thread(target=_add, args=(counter_url, 60)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for waiting in (*threads, *processes):
        waiting.join()
    assert [process.exitcode for process in processes] == [0, 0]
    with Database.open(counter_url, purpose="test") as database, database.read() as connection:
        assert connection.execute(COUNT).scalar_one() == 240


def test_threads_share_one_object(counter_url: str) -> None:
    with Database.open(counter_url, purpose="test") as database:

        def add() -> None:
            for _ in range(30):
                with database.write() as connection:
                    connection.execute(sa.text("UPDATE counter SET n = n + 1"))

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with database.read() as connection:
            assert connection.execute(COUNT).scalar_one() == 120


def test_a_write_inside_a_write_is_refused_not_waited_for(sqlite_url: str) -> None:
    with (
        Database.open(sqlite_url, purpose="test") as database,
        database.write(),
        pytest.raises(RuntimeError, match="inside another"),
        database.write(),
    ):
        raise AssertionError("two transactions of one thread")


def test_a_database_does_not_cross_a_fork(counter_url: str) -> None:
    with Database.open(counter_url, purpose="test") as database:
        child = os.fork()
        if child == 0:
            try:
                with database.read():
                    os._exit(1)
            except RuntimeError:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_probe_sees_others_commits(counter_url: str) -> None:
    with Database.open(counter_url, purpose="test") as database:
        probe = database.probe()
        assert probe.changed()
        assert probe.changed() is (database.dialect == "postgresql")
        _add(counter_url, 1)
        assert probe.changed()
        probe.close()


def test_sqlite_is_durable_private_and_its_log_is_ours(sqlite_url: str, tmp_path: Path) -> None:
    with Database.open(sqlite_url, purpose="test") as database:
        with database.write() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
            }
            connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))
        assert pragmas == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "wal_autocheckpoint": 0,
        }
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("sqlite.db*")}
        assert modes == dict.fromkeys(
            ("sqlite.db", "sqlite.db-wal", "sqlite.db-shm", "sqlite.db.lock"), 0o600
        )
        assert (tmp_path / "sqlite.db-wal").stat().st_size > 0
        database.checkpoint(truncate=True)
        assert (tmp_path / "sqlite.db-wal").stat().st_size == 0


def test_a_full_database_says_so_and_recovers(sqlite_url: str) -> None:
    with Database.open(sqlite_url, purpose="test") as database:
        with database.write() as connection:
            connection.execute(sa.text("CREATE TABLE t (b BLOB)"))
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(DatabaseFull), database.write() as connection:
            connection.execute(sa.text("INSERT INTO t VALUES (zeroblob(1000000))"))
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1000000")
            connection.execute(sa.text("INSERT INTO t VALUES (zeroblob(1000000))"))


def test_a_file_that_is_no_database_is_away(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"these are my notes\n" * 100)
    with pytest.raises(DatabaseAway, match="not an SQLite database"):
        Database.open(f"sqlite:///{path}", purpose="control")
    assert path.read_bytes() == b"these are my notes\n" * 100


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAway, match="check that the folder exists"):
        Database.open(f"sqlite:///{tmp_path}/nowhere/control.db", purpose="control")


def test_a_server_that_is_not_there_is_away(tmp_path: Path) -> None:
    url = f"postgresql://postgres@/gatepost?host={tmp_path}"
    with (
        Database.open(url, purpose="control") as database,
        pytest.raises(DatabaseAway, match="control database is away"),
        database.read(),
    ):
        raise AssertionError("connected to nothing")


def test_connections_cut_by_the_server_are_away_and_then_made_anew(postgresql_url: str) -> None:
    with Database.open(postgresql_url, purpose="control") as database:
        with pytest.raises(DatabaseAway), database.write() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        with database.write() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_a_connection_cut_while_it_rested_is_made_anew_at_once(postgresql_url: str) -> None:
    with Database.open(postgresql_url, purpose="control") as database:
        with database.read() as connection:
            resting = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        with Database.open(postgresql_url, purpose="other") as other, other.write() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": resting})
        with database.read() as connection:
            assert connection.scalar(sa.text("SELECT pg_backend_pid()")) != resting


def test_a_broken_rule_is_not_called_away(counter_url: str) -> None:
    with (
        Database.open(counter_url, purpose="test") as database,
        pytest.raises(sa.exc.IntegrityError),
        database.write() as connection,
    ):
        connection.execute(sa.text("INSERT INTO counter VALUES (NULL)"))


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "sqlite:////x.db?mode=ro"]
)
def test_urls_that_name_no_database_of_ours(url: str) -> None:
    with pytest.raises(DatabaseUrlInvalid):
        Database.open(url, purpose="control")


def test_another_programs_lock_is_away_at_last(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.system.database.engine._BUSY_MILLISECONDS", 50)
    with Database.open(sqlite_url, purpose="test") as database:
        stranger = sqlite3.connect(tmp_path / "sqlite.db", isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAway, match="locked by another program"), database.write():
            raise AssertionError("two writers")
        stranger.close()
        with database.write():
            pass
