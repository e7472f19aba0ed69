"""Periodic jobs of the control process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from gateway.app.deletion import forget_gone, purge_deleted
from gateway.app.parts import Ground
from gateway.app.publishing import age_keys
from gateway.app.settling import settle_moves
from gateway.app.trials import end_trials
from gateway.control.audit.trail import AuditTrail
from gateway.control.directory import Directory
from gateway.control.policies.store import read_policy_set
from gateway.control.records import WorkspaceRecord
from gateway.jobs import Job
from gateway.outgoing.queue import QueueStore
from gateway.outgoing.queue.outbox import renumber_restored
from gateway.outgoing.queue.retention import (
    DAY_SECONDS,
    RecordRetention,
    collect_orphans,
    purge_counters,
    purge_keys,
    purge_loose_events,
    purge_records,
)

_STALE_SECONDS = 15.0
_HOUR = 3600.0
_JOB_SECONDS = 600.0
_DELETION_SECONDS = 30.0
_KEYS_SECONDS = 60.0
_SETTLING_SECONDS = 1.0
_REMAINS_SECONDS = 60.0
_USUAL_SECONDS = 90 * DAY_SECONDS


def jobs(ground: Ground, stores: Mapping[str, QueueStore], loop: asyncio.AbstractEventLoop) -> list[Job]:
    """What is to be done now and then, for each location and for all."""

    def in_loop(make: Callable[[], Coroutine[Any, Any, object]]) -> object:
        return asyncio.run_coroutine_threadsafe(make(), loop).result(_JOB_SECONDS)

    found = [
        Job("audit-heads", ground.control, _HOUR, partial(_log_heads, ground), 30.0),
        Job("dkim-keys", ground.control, _KEYS_SECONDS, partial(age_keys, ground), 1.0),
        Job("deletions", ground.control, _DELETION_SECONDS, partial(purge_deleted, ground), 10.0),
        Job("settling", ground.control, _SETTLING_SECONDS, partial(settle_moves, ground), 1.0),
        Job("trials", ground.control, _HOUR, partial(end_trials, ground), 90.0),
    ]
    for name, store in stores.items():
        database = ground.locations[name]
        found += [
            Job(f"events-{name}", database, _HOUR, partial(renumber_restored, database)),
            Job(f"recover-{name}", database, _STALE_SECONDS, partial(in_loop, store.recover_stale), 5.0),
            Job(f"records-{name}", database, _HOUR, partial(_purge, ground, name), 60.0),
            Job(f"remains-{name}", database, _REMAINS_SECONDS, partial(forget_gone, ground, name), 20.0),
            Job(f"orphans-{name}", database, _HOUR, partial(_collect, ground, name), 120.0),
        ]
    return found


def _log_heads(ground: Ground) -> None:
    AuditTrail(ground.control, ground.locations, ground.installation.durable_key("audit")).log_heads()


def _purge(ground: Ground, name: str) -> None:
    """Remove records whose time is over, by each workspace's policy, and counters long past."""
    now = ground.clock.now()
    purge_records(ground.locations[name], _retention(ground), now)
    purge_counters(ground.locations[name], now)
    purge_loose_events(ground.locations[name], now)
    purge_keys(ground.locations[name], now)


def _retention(ground: Ground) -> RecordRetention:
    """Each workspace's time, and each policy's for what is left of workspaces that are gone."""
    directory = Directory(ground.control, clock=ground.clock)
    try:
        directory.refresh()
        workspaces = {workspace.id: _kept(directory, workspace) for workspace in directory.workspaces()}
        plan = directory.platform.plan
    finally:
        directory.stop()
    with ground.control.read() as connection, Session(connection) as session:
        policies = read_policy_set(session)
    kept = {
        one.name: policies.resolve(one.name, plan, shared=True).retention.records_seconds or _USUAL_SECONDS
        for one in policies.documents
        if one.kind == "policy"
    }
    return RecordRetention(_USUAL_SECONDS, workspaces, kept)


def _kept(directory: Directory, workspace: WorkspaceRecord) -> float:
    """How long a workspace's records stay. A shared one's is asked for the platform's own tenant."""
    tenant_id = workspace.tenant_id or directory.platform.id
    return directory.effective_policy(tenant_id, workspace.id).retention.records_seconds or _USUAL_SECONDS


def _collect(ground: Ground, name: str) -> None:
    collect_orphans(ground.locations[name], ground.blobs(name), ground.clock.now())
