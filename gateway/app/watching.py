"""The watch over domains: put together for a process that serves, and for a command that asks by itself."""

from __future__ import annotations

import asyncio
import secrets
from random import SystemRandom

from gateway.app.parts import Ground
from gateway.control.domains.watch.local import local_sight
from gateway.control.domains.watch.looking import Looker, too_slow
from gateway.control.domains.watch.sight import DomainSight
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.store import WatchStore
from gateway.control.domains.watch.values import Look, Memory, Subject
from gateway.control.domains.watch.watcher import DomainWatch
from gateway.control.services import ControlServices
from gateway.jobs import run_leased
from gateway.system.authority import AuthoritySettings, open_authorities

_LEASE = "domain-watch"
_LONGEST_WAIT_SECONDS = 30.0
"""More than the looker takes: by then the event loop itself stands still."""


class Watching:
    """What looks at domains in this event loop: for callers of the API, and for the watch itself."""

    def __init__(self, ground: Ground, *, longest_wait: float = _LONGEST_WAIT_SECONDS) -> None:
        """`longest_wait`: how many seconds a caller waits for a look."""
        self._longest_wait = longest_wait
        self._ground = ground
        self._loop = asyncio.get_running_loop()
        self._authorities = open_authorities(authority_settings(ground), ground.clock, secrets.randbits)
        self._looker = Looker(self._authorities, ground.clock)
        self._store = watch_store(ground)
        self.sight = DomainSight(self._examine, self._store, watch_timing(ground), SystemRandom().random)

    def watch(self, services: ControlServices) -> WatchWork:
        """The work of the watch, to be run in this loop."""
        return WatchWork(self._ground, DomainWatch(services, self._store, self._looker, self._ground.clock))

    async def close(self) -> None:
        """Close every socket."""
        await self._authorities.close()

    def _examine(self, subject: Subject, memory: Memory) -> Look:
        """From another thread: the caches and the pace of this loop are kept. Raises Unavailable."""
        looking = self._looker.examine(subject, memory)
        look = asyncio.run_coroutine_threadsafe(looking, self._loop)
        try:
            return look.result(self._longest_wait)
        except TimeoutError:
            look.cancel()
            raise too_slow(subject, self._longest_wait) from None


class WatchWork:
    """The watch, on one node of all."""

    def __init__(self, ground: Ground, watch: DomainWatch) -> None:
        self._database = ground.locations[ground.config.default_location]
        self._watch = watch

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop`."""
        await run_leased(self._database, _LEASE, self._watch.run, stop)


def own_sight(ground: Ground) -> DomainSight:
    """Looks of a command's own; what they find is kept where the watch keeps it."""
    return local_sight(
        authority_settings(ground), ground.clock, book=watch_store(ground), timing=watch_timing(ground)
    )


def watch_store(ground: Ground) -> WatchStore:
    """Where the watch keeps what it has seen."""
    return WatchStore(ground.locations[ground.config.default_location])


def watch_timing(ground: Ground) -> Timing:
    """How long things take, as configured."""
    domains = ground.config.domains
    return Timing(
        claim=domains.claim_seconds,
        grace=domains.grace_seconds,
        suspend=domains.suspend_seconds,
        release=domains.release_seconds,
        first=domains.first_seconds,
        longest=domains.longest_seconds,
    )


def authority_settings(ground: Ground) -> AuthoritySettings:
    """How name servers are asked, as configured."""
    dns = ground.config.dns
    return AuthoritySettings(
        tuple(dns.servers),
        dns.queries_per_second,
        dns.in_flight,
        dns.authority_port,
        allow_private=dns.allow_private,
    )
