"""The work of webhooks, on one node of all: events become deliveries, deliveries are sent, old ones go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from gateway.jobs import run_leased, until
from gateway.outgoing.follower import Overtaken
from gateway.outgoing.webhooks import store
from gateway.outgoing.webhooks.dispatcher import Dispatcher
from gateway.outgoing.webhooks.sender import Sender
from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway

T = TypeVar("T")

THREADS = 2
_POLL_SECONDS = 1.0
_PURGE_SECONDS = 3_600.0


class WebhookWork:
    """Everything between the feed and the receivers. The database is the default location's."""

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        make_sender: Callable[[ThreadPoolExecutor], Sender],
        clock: Clock,
    ) -> None:
        """`make_sender` is called each time this node begins to do the work."""
        self._database = database
        self._dispatcher = dispatcher
        self._make_sender = make_sender
        self._clock = clock
        self._log = structlog.get_logger("gateway.outgoing.webhooks")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, whenever no other node does."""
        await run_leased(self._database, "webhooks", self._work, stop)

    async def _work(self, ended: asyncio.Event) -> None:
        with ThreadPoolExecutor(THREADS, "webhooks") as threads:
            sender = self._make_sender(threads)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(sender.run(ended))
                    group.create_task(self._dispatch(sender, threads, ended))
            finally:
                ended.set()

    async def _dispatch(self, sender: Sender, threads: ThreadPoolExecutor, ended: asyncio.Event) -> None:
        purge_at = self._clock.monotonic()
        while not ended.is_set():
            more = False
            try:
                written, more = await _in(threads, self._dispatcher.step)
                if written:
                    sender.wake()
                if self._clock.monotonic() >= purge_at:
                    purge_at = self._clock.monotonic() + _PURGE_SECONDS
                    await _in(threads, self._purge)
            except DatabaseAway as error:
                self._log.warning("events_put_off", reason=str(error))
            except Overtaken:
                self._log.warning("events_overtaken")
            if not more:
                await until(ended, _POLL_SECONDS)

    def _purge(self) -> None:
        now, count = self._clock.now(), 1
        while count:
            with self._database.write() as connection:
                count = store.purge(connection, now)


async def _in(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, function)
