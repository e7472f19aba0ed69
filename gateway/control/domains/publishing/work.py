"""The work of publishing: after each change, again where it failed, and all of it each hour."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from gateway.control.domains.publishing.changed import changed_owners, head_revision
from gateway.control.domains.publishing.keylook import KeyLook
from gateway.control.domains.publishing.service import PublishingService
from gateway.control.errors import ServiceError
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites
from gateway.system.database import DatabaseAway

_ACTOR = Actor(kind="system", id="publishing")
_POLL_SECONDS = 1.0
_RECONCILE_SECONDS = 3_600.0
_RECONCILE_AGAIN_SECONDS = 60.0


class PublishingWork:
    """Everything between a change of the control plane and the zones that show it."""

    def __init__(self, writes: ControlWrites, service: PublishingService, keys: KeyLook) -> None:
        self._writes = writes
        self._service = service
        self._keys = keys
        self._revision = -1
        self._reconcile_at = float("-inf")
        self._log = structlog.get_logger("gateway.control.publishing")

    async def work(self, ended: asyncio.Event) -> None:
        """Go on until `ended`; blocking steps run in a thread of their own."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "publishing") as threads:
            while not ended.is_set():
                await loop.run_in_executor(threads, self.step_safely)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _POLL_SECONDS)

    def step_safely(self) -> None:
        """One step; what is away now is tried again by the next."""
        try:
            self.step()
        except (DatabaseAway, ServiceError) as error:
            self._log.warning("publishing_put_off", reason=str(error))
        except Exception:  # noqa: BLE001 - one broken record must not end the work
            self._log.exception("publishing_failed")

    def step(self) -> None:
        """Publish what changed, what is due again, or all of it; then look for keys that were published.

        Raises ServiceError, DatabaseAway.
        """
        now = self._writes.clock.monotonic()
        with self._writes.view() as session:
            revision = head_revision(session)
            owners = changed_owners(session, self._revision) if revision != self._revision else set()
        if now >= self._reconcile_at:
            # Should it fail, the changes below are made all the same.
            self._reconcile_at = now + _RECONCILE_AGAIN_SECONDS
            self._service.reconcile(_ACTOR)
            self._reconcile_at = now + _RECONCILE_SECONDS
        elif owners is None:
            self._service.publish()
        elif owners:
            self._service.publish(owners)
        self._revision = revision
        due = self._service.due_owners()
        if due:
            self._service.publish(due)
        self._keys.step()
