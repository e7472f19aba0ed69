"""Taking away what was deleted, in the control database and in the queues of all locations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from gateway.app.desk import queue_service
from gateway.app.parts import Ground
from gateway.control.deletion.purge import Purge, PurgeReport
from gateway.control.errors import Conflict
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites
from gateway.outgoing import remains
from gateway.outgoing.queue import QueueService

_SYSTEM = Actor(kind="system", id="deletion")
_REASON = "its account or tenant was deleted"
_AT_ONCE = 500


class LocationMail:
    """What deleting asks of the queues. See gateway.control.deletion.purge.QueuedMail."""

    def __init__(self, queue: QueueService, actor: Actor) -> None:
        self._queue = queue
        self._actor = actor

    def drop(self, *, tenant_id: str, account_id: str | None) -> bool:
        """Drop all but what is being sent at this moment; whether nothing is left. Raises Unavailable."""
        busy: set[str] = set()
        while True:
            rows = self._queue.list("live", tenant_id=tenant_id, account_id=account_id, limit=_AT_ONCE)
            waiting = {row.id for row in rows} - busy
            if not waiting:
                return not rows
            for message_id in sorted(waiting):
                try:
                    self._queue.drop(self._actor, message_id, reason=_REASON)
                except Conflict:
                    busy.add(message_id)

    def is_queued(self, shard_id: str) -> bool:
        """Whether mail waits for a shard. Raises Unavailable."""
        return bool(self._queue.list("live", shard_id=shard_id, limit=1))

    def keys_in_use(self, key_ids: Sequence[str]) -> bool:
        """Whether waiting mail bears a signature by one of these DKIM keys. Raises Unavailable."""
        return bool(self._queue.keys_in_use(key_ids))


def purge_deleted(ground: Ground) -> PurgeReport:
    """Take away what is due. Raises ServiceError, DatabaseAway: the next run tries again."""
    key = ground.installation.durable_key("audit")
    writes = ControlWrites(ground.control, ground.clock, ground.ids, key)
    return Purge(writes, LocationMail(queue_service(ground), _SYSTEM)).run(_SYSTEM)


def forget_gone(ground: Ground, name: str) -> int:
    """Remove what a location keeps of tenants that are gone, its mail aside; how many rows.

    It asks what is there, so a run that fails, or a location that was away, forgets nobody. Raises
    DatabaseAway.
    """
    location = ground.locations[name]
    # Those of the location first: a tenant whose row names it there has been there before it.
    return remains.forget(location, _gone(ground, sorted(remains.tenants(location))))


def _gone(ground: Ground, tenant_ids: Sequence[str]) -> Iterable[str]:
    for start in range(0, len(tenant_ids), _AT_ONCE):
        some = tenant_ids[start : start + _AT_ONCE]
        with ground.control.read() as connection:
            there = connection.scalars(sa.select(TenantRow.id).where(TenantRow.id.in_(some)))
            yield from sorted(set(some).difference(there))
