"""The control process: the API, and periodic jobs in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvloop

from gateway.app.api import ApiService
from gateway.app.desk import OpenedDesk, control_services
from gateway.app.following import event_work
from gateway.app.maintenance import jobs
from gateway.app.parts import Ground, opened
from gateway.app.sending import (
    QUEUE_HINT,
    REVISION_HINT,
    open_hints,
    open_sender,
    open_stores,
    sending_in,
)
from gateway.app.watching import Watching
from gateway.control.directory import Directory
from gateway.control.keys.reserve import KeyReserve
from gateway.jobs import JobRunner
from gateway.outgoing.queue import QueueStore
from gateway.outgoing.queue.records import Records
from gateway.system.config import ConfigError, load
from gateway.system.heap import return_large_blocks
from gateway.system.log import configure
from gateway.system.tls import TlsError

if TYPE_CHECKING:
    from gateway.control.apikeys.service import KnownKey
    from gateway.outgoing.composing import Send
    from gateway.supervisor import ChildContext
    from gateway.system.notify import Hints

CONTROL = "control"


def run_control(context: ChildContext) -> int:
    """The entry of the control process; its exit status."""
    return_large_blocks()
    configure(level=context.config.log_level, process=context.name)
    with opened(context.config) as ground:
        return uvloop.run(ControlProcess(ground, context).run())


class ControlProcess:
    """The parts of the control process, started and stopped in order."""

    def __init__(self, ground: Ground, context: ChildContext) -> None:
        self._ground = ground
        self._context = context
        self._stores: dict[str, QueueStore] = {}

    async def run(self) -> int:
        """Serve until SIGTERM."""
        loop = asyncio.get_running_loop()
        stop, reload = asyncio.Event(), asyncio.Event()
        self._context.attach(loop, on_drain=stop.set, on_reload=reload.set)
        async with contextlib.AsyncExitStack() as stack:
            self._stores = await open_stores(self._ground, self._context.incarnation, stack)
            watching = Watching(self._ground)
            stack.push_async_callback(watching.close)
            hints = open_hints(self._ground.config)
            stack.callback(hints.close)
            directory = self._follow(stack, loop)

            def tell(_revision: int) -> None:
                directory.wake()
                hints.send(REVISION_HINT)

            send = await self._open_sender(stack, directory, hints)
            api = self._start_api(stack, send, watching, tell)
            reloading = loop.create_task(self._reload_when(reload, api))
            stack.callback(reloading.cancel)
            runner = JobRunner(jobs(self._ground, self._stores, loop), self._ground.clock)
            thread = threading.Thread(target=runner.run, name="jobs")
            thread.start()
            services = control_services(self._ground, sight=watching.sight)
            services.writes.subscribe(tell)
            work = [*event_work(self._ground), watching.watch(services)]
            following = asyncio.gather(*(one.run(stop) for one in work))
            self._context.ready()
            await stop.wait()
            await following
            runner.stop()
            await loop.run_in_executor(None, thread.join)
        return 0

    def _follow(self, stack: contextlib.AsyncExitStack, loop: asyncio.AbstractEventLoop) -> Directory:
        directory = Directory(self._ground.control, clock=self._ground.clock)
        directory.start(loop)
        stack.callback(directory.stop)
        return directory

    async def _open_sender(
        self, stack: contextlib.AsyncExitStack, directory: Directory, hints: Hints
    ) -> Send:
        """What the API's threads send with; the mail processes hear of what can leave."""
        wake = partial(hints.send, QUEUE_HINT)
        sender = await open_sender(self._ground, directory, self._stores, stack, wake=wake)
        return sending_in(asyncio.get_running_loop(), sender)

    def _start_api(
        self,
        stack: contextlib.AsyncExitStack,
        send: Send,
        watching: Watching,
        tell: Callable[[int], None],
    ) -> ApiService:
        records = Records(self._stores[self._ground.config.default_location])
        stack.callback(records.flush)

        def note_use(key: KnownKey, address: str) -> None:
            records.key_use(key.id, key.tenant_id, address, self._ground.clock.now())

        keys = KeyReserve()
        keys.start()
        stack.callback(keys.stop)
        desk = OpenedDesk.over(self._ground, keys, watching.sight)
        desk.services.writes.subscribe(tell)
        api = ApiService(desk, note_use, send)
        api.start(self._context.sockets)
        stack.push_async_callback(api.stop)
        return api

    async def _reload_when(self, asked: asyncio.Event, api: ApiService) -> None:
        log = structlog.get_logger("gateway.app")
        while True:
            await asked.wait()
            asked.clear()
            try:
                api.reload(load(self._ground.config.path, os.environ))
            except (ConfigError, TlsError) as error:
                log.error("reload_refused", reason=str(error))
            self._context.reloaded()
