"""A process that dies at a chosen commit: a fork, and `_exit` just before or just after it."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import Connection

from gateway.control.records import Actor
from gateway.outgoing.queue import QueueLocation, QueueService, QueueStore
from gateway.system.blobs import LocalBlobs
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from gateway.system.ids import IdSource
from tests.integration.outgoing.queue.parts import NOW

OPERATOR = Actor("cli", "root")
CHILD = "child"


class MortalDatabase:
    """A Database whose process is killed at the next commit once `doom` is "before" or "after"."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.doom: str | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            yield connection
            if self.doom == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if self.doom == "after":
            os.kill(os.getpid(), signal.SIGKILL)


class World:
    """What a scenario acts with, inside the process that is to die."""

    def __init__(
        self, store: QueueStore, service: QueueService, clock: ManualClock, database: MortalDatabase
    ) -> None:
        self.store = store
        self.service = service
        self.clock = clock
        self._database = database
        self._doom = ""

    def doom(self) -> None:
        """From now on the next commit kills this process."""
        self._database.doom = self._doom


def service_of(database: Database, folder: Path, clock: ManualClock) -> QueueService:
    location = QueueLocation(database, LocalBlobs(folder))
    return QueueService({"default": location}, clock, IdSource(clock), b"k" * 32)


def die_in(scenario: Callable[[World], Awaitable[object]], url: str, folder: Path, doom: str) -> None:
    """Run `scenario` in a fork that must be killed by its doom."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_live(scenario, url, folder, doom))
        except BaseException:  # noqa: BLE001 - nothing may come back from a fork
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the process outlived its doom"
    assert os.WTERMSIG(status) == signal.SIGKILL


async def _live(scenario: Callable[[World], Awaitable[object]], url: str, folder: Path, doom: str) -> None:
    database = Database.open(url, purpose="default")
    mortal = MortalDatabase(database)
    clock = ManualClock(NOW)
    store = QueueStore(mortal, LocalBlobs(folder), "default", CHILD, clock, floor_bytes=0)  # type: ignore[arg-type]
    await store.start()
    world = World(store, service_of(mortal, folder, clock), clock, mortal)  # type: ignore[arg-type]
    world._doom = doom
    await scenario(world)
