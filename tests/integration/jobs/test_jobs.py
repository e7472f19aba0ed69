"""Jobs run when due, once at a time for all nodes, and a failing one stops nobody."""

import threading

import pytest

from gateway.jobs import Job, JobRunner, lease
from gateway.system.clock import ManualClock, SystemClock
from gateway.system.database import Database


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
