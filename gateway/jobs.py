"""Periodic work of an installation: each job runs once per period, however many nodes there are.

A job holds a *lease* while it runs: on PostgreSQL an advisory lock of the database it works on, with SQLite
(one node by nature) a file lock beside the database. Both end with their holder, so a crash frees them.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway

_LONGEST_NAP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work on one database: `run` does it, every `every_seconds`, first `after_seconds` in."""

    name: str
    database: Database
    every_seconds: float
    run: Callable[[], object]
    after_seconds: float = 0.0


class JobRunner:
    """Runs jobs one after another in the caller's thread until `stop`."""

    def __init__(
        self, jobs: Sequence[Job], clock: Clock, on_progress: Callable[[], None] = lambda: None
    ) -> None:
        """`on_progress` is called at least once a second between jobs: the supervisor's watchdog eats it."""
        self._jobs = list(jobs)
        self._clock = clock
        self._on_progress = on_progress
        self._stopping = threading.Event()
        start = clock.monotonic()
        self._due = {job.name: start + job.after_seconds for job in self._jobs}
        self._log = structlog.get_logger("gateway.jobs")

    def run(self) -> None:
        """Work until `stop`; returns after the job that runs then."""
        while not self._stopping.is_set():
            self._on_progress()
            now = self._clock.monotonic()
            for job in self._jobs:
                if self._due[job.name] <= now and not self._stopping.is_set():
                    self.run_once(job)
                    self._due[job.name] = self._clock.monotonic() + job.every_seconds
            nearest = min(self._due.values(), default=now + _LONGEST_NAP_SECONDS)
            self._stopping.wait(max(0.01, min(_LONGEST_NAP_SECONDS, nearest - self._clock.monotonic())))

    def run_once(self, job: Job) -> bool:
        """Run a job now if its lease is free; whether it ran to its end. Failures are logged, not raised."""
        try:
            with lease(job.database, job.name) as held:
                if held:
                    job.run()
                return held
        except DatabaseAway as error:
            self._log.warning("job_put_off", job=job.name, reason=str(error))
        except Exception:  # noqa: BLE001 - one broken job must not end the others
            self._log.exception("job_failed", job=job.name)
        return False

    def stop(self) -> None:
        """End `run` soon; safe from a signal handler and from other threads."""
        self._stopping.set()


@contextmanager
def lease(database: Database, name: str) -> Iterator[bool]:
    """Hold the lease `name` on a database inside the block; false if somebody else does.

    Raises DatabaseAway.
    """
    if database.path is not None:
        with database.path.with_name(f"{database.path.name}.{name}.lease").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        return
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    with database.read() as connection:
        held = bool(
            connection.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
        )
        yield held
