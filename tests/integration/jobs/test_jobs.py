"""Jobs run when due, once at a time for all nodes, and a failing one stops nobody."""

import asyncio
import threading

import pytest

from gateway.jobs import Job, JobRunner, StandingLease, lease, run_leased
from gateway.system.clock import ManualClock, SystemClock
from gateway.system.database import Database
from tests.support.gateway import wait_until


@pytest.fixture
def database(database_url: str):
    with Database.open(database_url, purpose="test") as opened:
        yield opened


def test_a_lease_has_one_holder(database: Database, database_url: str) -> None:
    with Database.open(database_url, purpose="other node") as other:
        with (
            lease(database, "sweep") as first,
            lease(other, "sweep") as second,
            lease(other, "else") as third,
        ):
            assert (first, second, third) == (True, False, True)
        with lease(other, "sweep") as again:
            assert again


def test_a_job_with_a_taken_lease_does_not_run(database: Database) -> None:
    ran: list[str] = []
    runner = JobRunner([], ManualClock())
    job = Job("sweep", database, 60, lambda: ran.append("x"))
    with lease(database, "sweep"):
        assert not runner.run_once(job)
    assert runner.run_once(job)
    assert ran == ["x"]


def test_a_failing_job_does_not_stop_the_others(database: Database) -> None:
    done = threading.Event()

    def fail() -> None:
        raise ValueError("broken")

    runner = JobRunner(
        [Job("bad", database, 0.01, fail), Job("good", database, 0.01, done.set)], SystemClock()
    )
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert done.wait(10)
    runner.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_progress_is_reported_and_stop_ends(database: Database) -> None:
    progress: list[int] = []
    runner = JobRunner(
        [Job("late", database, 60, lambda: None, 3600)],
        SystemClock(),
        lambda: progress.append(1) or runner.stop(),
    )
    runner.run()
    assert progress


def test_a_standing_lease_has_one_holder_and_keeps_no_transaction(
    database: Database, database_url: str
) -> None:
    with Database.open(database_url, purpose="other node") as other:
        first, second = StandingLease(database, "watch"), StandingLease(other, "watch")
        assert first.take()
        assert not second.take()
        assert first.is_held()
        if database.dialect == "postgresql":
            with other.read() as connection:
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                waiting += " AND datname = current_database()"
                assert connection.exec_driver_sql(waiting).scalar_one() == 0
        first.release()
        # PostgreSQL gives the lock back when the connection's process has ended.
        wait_until(second.take)
        second.release()


async def test_leased_work_goes_on_until_it_is_told_to_end(database: Database) -> None:
    stop, began = asyncio.Event(), asyncio.Event()
    told: list[bool] = []

    async def work(ended: asyncio.Event) -> None:
        began.set()
        await ended.wait()
        told.append(stop.is_set())

    running = asyncio.create_task(run_leased(database, "watch", work, stop))
    async with asyncio.timeout(20):
        await began.wait()
        assert not StandingLease(database, "watch").take()
        stop.set()
        await running
    assert told == [True]
    again = StandingLease(database, "watch")
    wait_until(again.take)
    again.release()


async def test_leased_work_that_fails_is_begun_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.jobs._LEASE_SECONDS", 0.01)
    stop, tries = asyncio.Event(), []

    async def work(ended: asyncio.Event) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("broken")
        stop.set()

    async with asyncio.timeout(20):
        await run_leased(database, "watch", work, stop)
    assert len(tries) == 3


def test_a_lease_is_lost_with_its_connection(postgresql_url: str) -> None:
    with Database.open(postgresql_url, purpose="one node") as one:
        lost = StandingLease(one, "watch")
        assert lost.take()
        with Database.open(postgresql_url, purpose="other node") as other:
            with other.write() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                    "AND datname = current_database()"
                )
            assert not lost.is_held()
            taken = StandingLease(other, "watch")
            assert taken.take()
            taken.release()
        lost.release()
