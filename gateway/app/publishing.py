"""What publishes the platform's names, and the life of DKIM keys, put together."""

from __future__ import annotations

import asyncio

from gateway.app.desk import control_services, queue_service
from gateway.app.parts import Ground
from gateway.control.domains.publishing.keylook import KeyLook
from gateway.control.domains.publishing.opening import open_channel
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.service import PublishingService
from gateway.control.domains.publishing.unwatched import UnwatchedKeys
from gateway.control.domains.publishing.work import PublishingWork
from gateway.control.keys.lifecycle import KeyLifecycle, LifecycleReport
from gateway.control.keys.pooling import fill_pool
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.jobs import run_leased
from gateway.system.database import Database

_KEYS = Actor(kind="system", id="key-lifecycle")


class LeasedPublishing:
    """The work of publishing, on one node of all."""

    def __init__(self, database: Database, work: PublishingWork) -> None:
        self._database = database
        self._work = work

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, whenever no other node does."""
        await run_leased(self._database, "publishing", self._work.work, stop)


def publishing_work(ground: Ground) -> LeasedPublishing:
    """The work of publishing, where something takes names. Raises SecretError, DatabaseAway."""
    services = control_services(ground)
    service = publishing_service(ground, services)
    look = KeyLook(services.writes, services.keys, services.settings, service.channel, _resolver(ground))
    work = PublishingWork(services.writes, service, look)
    return LeasedPublishing(ground.locations[ground.config.default_location], work)


def publishing_service(ground: Ground, services: ControlServices) -> PublishingService:
    """What publishes, for one call or for the work."""
    location = ground.locations[ground.config.default_location]
    channel = open_channel(ground.config.publishing, services.settings, _resolver(ground))
    return PublishingService(services.writes, location, services.settings, channel)


def age_keys(ground: Ground) -> LifecycleReport:
    """Do what is due in the life of DKIM keys. Raises ServiceError, DatabaseAway: the next run goes on."""
    services = control_services(ground)
    life = KeyLifecycle(
        services.writes,
        services.keys,
        queue_service(ground),
        services.settings,
        ground.config.dkim.rotate_seconds,
    )
    fill_pool(services.writes, services.keys, services.settings)
    UnwatchedKeys(services.writes, services.keys, services.settings, _resolver(ground)).look()
    return life.run(_KEYS)


def _resolver(ground: Ground) -> ResolverLook:
    return ResolverLook([(server.host, server.port) for server in ground.config.dns.servers])
