"""The watch over all custom domains: whose look is due is looked at, many at a time.

Looks are made in the event loop, everything about databases in threads: what is due and what is expected is
read for many domains at once, and what was seen is written in batches. A crash loses looks, never changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gateway.control.domains.watch.looking import Looker
from gateway.control.domains.watch.observer import Conclusion
from gateway.control.domains.watch.store import WatchStore
from gateway.control.domains.watch.subjects import revision_of, subjects_of, touched_since, watched
from gateway.control.domains.watch.values import Look, Memory, Subject
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.system.clock import Clock

_AT_ONCE = 400
_READ_AT_ONCE = 200
_BATCH_SECONDS = 0.2
_IDLE_SECONDS = 1.0
_PURGE_SECONDS = 3_600.0
_FAILED_SECONDS = 300.0
_WATCHER = Actor(kind="system", id="domain-watch")

_Seen = tuple[Look, Memory]


class DomainWatch:
    """Looks at domains when it is time, and draws the conclusions."""

    def __init__(self, services: ControlServices, store: WatchStore, looker: Looker, clock: Clock) -> None:
        self._services = services
        self._store = store
        self._looker = looker
        self._clock = clock
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._seen: list[_Seen] = []
        self._again: set[str] = set()
        """Domains that were looked at while what they should have was changing."""
        self._revision: int | None = None
        self._purge_at = 0.0
        self._log = structlog.get_logger("gateway.domains")

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop`; what was seen by then is kept. Raises DatabaseAway."""
        try:
            while not stop.is_set():
                await asyncio.to_thread(self._follow)
                room = _AT_ONCE - len(self._looking)
                begun = await self._begin(min(room, _READ_AT_ONCE)) if room >= _AT_ONCE // 4 else 0
                await self._pause(stop, busy=bool(begun or self._looking))
                await self._conclude()
        finally:
            looking = list(self._looking.values())
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
            try:
                await self._conclude()
            finally:
                # Looks that were broken off are due again, when this is run the next time.
                self._looking.clear()

    async def poll_due(self) -> int:
        """Look once at every domain that is due, and wait for the conclusions; how many there were."""
        await asyncio.to_thread(self._follow)
        total = 0
        while begun := await self._begin(_READ_AT_ONCE):
            total += begun
            await asyncio.gather(*list(self._looking.values()))
            await self._conclude()
        return total

    def _follow(self) -> None:
        """Learn which domains there are, and which of them should have something else now."""
        now = self._clock.now()
        with self._services.writes.view() as session:
            revision = revision_of(session)
            if revision == self._revision:
                return
            domains = watched(session)
            touched = touched_since(session, self._revision) if self._revision is not None else set()
        known = self._store.known()
        if new := {one: tenant_id for one, tenant_id in domains.items() if one not in known}:
            self._store.enter(new, now)
        touched &= known & domains.keys()
        self._again |= touched & self._looking.keys()
        if touched:
            self._store.hasten(touched, now)
        self._revision = revision

    async def _begin(self, most: int) -> int:
        """Begin looks at domains that are due, at most so many; how many were begun."""
        subjects = await asyncio.to_thread(self._due, most, frozenset(self._looking))
        for subject, memory in subjects:
            task = asyncio.create_task(self._look(subject, memory))
            self._looking[subject.domain_id] = task
        return len(subjects)

    def _due(self, most: int, looking: frozenset[str]) -> list[tuple[Subject, Memory]]:
        now = self._clock.now()
        memories = self._store.due(now, most + len(looking))
        due = {one.domain_id: one for one in memories if one.domain_id not in looking}
        if not due:
            self._clean(now)
            return []
        with self._services.writes.view() as session:
            subjects = list(subjects_of(session, due.keys(), self._services.settings))
        if gone := due.keys() - {subject.domain_id for subject in subjects}:
            self._store.leave(gone)
        return [(subject, due[subject.domain_id]) for subject in subjects]

    async def _look(self, subject: Subject, memory: Memory) -> None:
        try:
            look = await self._looker.poll(subject, memory)
        except Exception:  # noqa: BLE001 - one domain's trouble is not that of the others
            self._log.exception("domain_look_failed", domain=subject.name)
            now = self._clock.now()
            look = Look(subject, memory.records, now, memory.remarks, busy_seconds=_FAILED_SECONDS)
        self._seen.append((look, memory))

    async def _pause(self, stop: asyncio.Event, *, busy: bool) -> None:
        """Let looks go on for a moment, so that a batch of them ends."""
        try:
            await asyncio.wait_for(stop.wait(), _BATCH_SECONDS if busy else _IDLE_SECONDS)
        except TimeoutError:
            return

    async def _conclude(self) -> None:
        seen, self._seen = self._seen, []
        if seen:
            try:
                await asyncio.to_thread(self._conclude_all, seen)
            finally:
                # Only now: what is not written yet would still be due.
                for look, _ in seen:
                    self._looking.pop(look.subject.domain_id, None)

    def _conclude_all(self, seen: Sequence[_Seen]) -> None:
        conclusions: list[Conclusion] = []
        try:
            for look, memory in seen:
                conclusions.append(self._services.domains.observed(_WATCHER, look, memory))
        finally:
            # What was decided before a database went away is remembered as such.
            self._store.save([(one.memory, one.drifts) for one in conclusions])
            again = self._again & {one.memory.domain_id for one in conclusions}
            self._again -= again
            self._store.hasten(again, self._clock.now())

    def _clean(self, now: float) -> None:
        if now >= self._purge_at:
            self._purge_at = now + _PURGE_SECONDS
            self._store.purge(now)
