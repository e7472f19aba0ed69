"""The control process: periodic jobs, until the API joins it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import uvloop

from gateway.app.following import event_work
from gateway.app.parts import Ground, opened
from gateway.control.audit.trail import AuditTrail
from gateway.control.directory import Directory
from gateway.control.records import WorkspaceRecord
from gateway.jobs import Job, JobRunner
from gateway.outgoing.queue import QueueStore
from gateway.outgoing.queue.retention import (
    RecordRetention,
    collect_orphans,
    purge_counters,
    purge_keys,
    purge_loose_events,
    purge_records,
)
from gateway.system.log import configure

if TYPE_CHECKING:
    from gateway.supervisor import ChildContext

CONTROL = "control"
_STALE_SECONDS = 15.0
_HOUR = 3600.0
_JOB_SECONDS = 600.0


def run_control(context: ChildContext) -> int:
    """The entry of the control process; its exit status."""
    configure(level=context.config.log_level, process=context.name)
    with opened(context.config) as ground:
        return uvloop.run(_serve(ground, context))


async def _serve(ground: Ground, context: ChildContext) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    context.attach(loop, on_drain=stop.set, on_reload=context.reloaded)
    async with contextlib.AsyncExitStack() as stack:
        stores = {}
        for name, database in ground.locations.items():
            store = QueueStore(
                database, ground.blobs(name), name, context.incarnation, ground.clock, node=ground.config.node
            )
            await store.start()
            stack.push_async_callback(store.stop)
            stores[name] = store
        runner = JobRunner(jobs(ground, stores, loop), ground.clock)
        thread = threading.Thread(target=runner.run, name="jobs")
        thread.start()
        following = asyncio.gather(*(work.run(stop) for work in event_work(ground)))
        context.ready()
        await stop.wait()
        await following
        runner.stop()
        await loop.run_in_executor(None, thread.join)
    return 0


def jobs(ground: Ground, stores: Mapping[str, QueueStore], loop: asyncio.AbstractEventLoop) -> list[Job]:
    """What is to be done now and then, for each location and for all."""

    def in_loop(make: Callable[[], Coroutine[Any, Any, object]]) -> object:
        return asyncio.run_coroutine_threadsafe(make(), loop).result(_JOB_SECONDS)

    found = [Job("audit-heads", ground.control, _HOUR, partial(_log_heads, ground), 30.0)]
    for name, store in stores.items():
        database = ground.locations[name]
        found += [
            Job(f"recover-{name}", database, _STALE_SECONDS, partial(in_loop, store.recover_stale), 5.0),
            Job(f"records-{name}", database, _HOUR, partial(_purge, ground, name), 60.0),
            Job(f"orphans-{name}", database, _HOUR, partial(_collect, ground, name), 120.0),
        ]
    return found


def _log_heads(ground: Ground) -> None:
    AuditTrail(ground.control, ground.locations, ground.installation.durable_key("audit")).log_heads()


def _purge(ground: Ground, name: str) -> None:
    """Remove records whose time is over, by each workspace's policy, and counters long past."""
    directory = Directory(ground.control, clock=ground.clock)
    try:
        directory.refresh()
        kept = {
            workspace.id: seconds
            for workspace in directory.workspaces()
            if (seconds := _kept(directory, workspace))
        }
    finally:
        directory.stop()
    now = ground.clock.now()
    purge_records(ground.locations[name], RecordRetention(workspaces=kept), now)
    purge_counters(ground.locations[name], now)
    purge_loose_events(ground.locations[name], now)
    purge_keys(ground.locations[name], now)


def _kept(directory: Directory, workspace: WorkspaceRecord) -> float | None:
    """How long a workspace's records stay. A shared one's is asked for the platform's own tenant."""
    tenant_id = workspace.tenant_id or directory.platform.id
    return directory.effective_policy(tenant_id, workspace.id).retention.records_seconds


def _collect(ground: Ground, name: str) -> None:
    collect_orphans(ground.locations[name], ground.blobs(name), ground.clock.now())
