"""Periodic work of an installation: each job runs once per period, however many nodes there are.

A job holds a *lease* while it runs: on PostgreSQL an advisory lock of the database it works on, with SQLite
(one node by nature) a file lock beside the database. Both end with their holder, so a crash frees them.
Work that goes on all the time holds a *standing* lease, which keeps no transaction open.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway
from gateway.system.database.errors import translated

_LONGEST_NAP_SECONDS = 1.0
_LEASE_SECONDS = 5.0


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
        with _lease_file(database.path, name).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        return
    with database.read() as connection:
        query = sa.text("SELECT pg_try_advisory_xact_lock(:number)")
        yield bool(connection.scalar(query, {"number": _lease_number(name)}))


class StandingLease:
    """A lease that is kept for hours. Its methods block; one thread at a time."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._stack = ExitStack()
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Have it from now on, unless somebody else does. Raises DatabaseAway."""
        path = self._database.path
        if path is not None:
            file = self._stack.enter_context(_lease_file(path, self._name).open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                return False
            return True
        with translated(self._database.purpose):
            connection = self._stack.enter_context(self._database.exclusive())
            self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            query = sa.text("SELECT pg_try_advisory_lock(:number)")
            held = bool(self._connection.scalar(query, {"number": _lease_number(self._name)}))
        if not held:
            self.release()
        return held

    def is_held(self) -> bool:
        """Whether it is still ours: with its connection it is lost."""
        if self._connection is None:
            return True
        try:
            with translated(self._database.purpose):
                self._connection.scalar(sa.text("SELECT 1"))
        except DatabaseAway:
            return False
        return True

    def release(self) -> None:
        """Give it up."""
        if self._connection is not None:
            # The session ends: with it ends the lock, whatever state the connection is in.
            self._connection.invalidate()
            self._connection = None
        self._stack.close()


async def run_leased(
    database: Database, name: str, work: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Do `work` until `stop` on one node of all: `work(ended)` returns soon after `ended` is set.

    Another node takes over where this one ends, dies, or loses the database. Whatever `work` raises is
    logged, and it is begun again.
    """
    log = structlog.get_logger("gateway.jobs")
    while not stop.is_set():
        standing = StandingLease(database, name)
        try:
            if await asyncio.to_thread(standing.take):
                await _work_while_held(standing, work, stop)
        except DatabaseAway as error:
            log.warning("work_put_off", work=name, reason=str(error))
        except Exception:
            log.exception("work_failed", work=name)
        finally:
            await asyncio.to_thread(standing.release)
        await until(stop, _LEASE_SECONDS)


async def _work_while_held(
    standing: StandingLease, work: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
) -> None:
    ended = asyncio.Event()
    working = asyncio.ensure_future(work(ended))
    try:
        while not (stop.is_set() or working.done()):
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((stopping, working), timeout=_LEASE_SECONDS, return_when="FIRST_COMPLETED")
            stopping.cancel()
            if not await asyncio.to_thread(standing.is_held):
                break
    finally:
        ended.set()
        await working


async def until(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `stop`, at most so long; whether it is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


def _lease_file(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}.{name}.lease")


def _lease_number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
