"""What follows the feed of events in the control process: webhooks, and notices to tenants' contacts."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from gateway import __version__
from gateway.app.desk import control_services, event_feed
from gateway.app.parts import Ground
from gateway.app.publishing import publishing_work
from gateway.control.directory import Directory
from gateway.control.keys.sealing import open_key
from gateway.control.services import ControlServices
from gateway.control.webhooks.records import WebhookBook
from gateway.control.webhooks.secret import PURPOSE
from gateway.outgoing.follower import Follower
from gateway.outgoing.intake.platform import PlatformMail
from gateway.outgoing.notices.templates import Templates
from gateway.outgoing.notices.work import NoticeWords, NoticeWork
from gateway.outgoing.notices.writer import NoticeWriter
from gateway.outgoing.signing import KeyCache, Signer
from gateway.outgoing.webhooks.dispatcher import Dispatcher
from gateway.outgoing.webhooks.sender import Sender
from gateway.outgoing.webhooks.work import WebhookWork
from gateway.system.dns import HostsFile, Resolver, ServerQuery
from gateway.system.webclient import WebClient


class EventWork(Protocol):
    """Work that goes on until it is told to stop, on one node of all."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`."""
        ...


def event_work(ground: Ground) -> list[EventWork]:
    """What events ask for, each to be run in this event loop. Raises SecretError, DatabaseAway."""
    work: list[EventWork] = [webhook_work(ground, control_services(ground))]
    if ground.config.publishing.is_automatic:
        work.append(publishing_work(ground))
    return [*work, notice_work(ground)] if ground.config.notices.enabled else work


def webhook_work(ground: Ground, services: ControlServices) -> WebhookWork:
    """Events on their way to webhooks."""
    config, clock = ground.config, ground.clock
    database = ground.locations[config.default_location]
    book = WebhookBook(ground.control)
    follower = Follower("webhooks", event_feed(ground), database, clock)
    resolver = Resolver(ServerQuery(config.dns.servers), clock, HostsFile())
    client = WebClient(resolver.addresses, allow_private=config.webhooks.allow_private)

    def sender(threads: ThreadPoolExecutor) -> Sender:
        return Sender(
            database,
            book,
            client,
            ground.master_key.sealer(PURPOSE),
            services.webhooks.disable,
            clock,
            random.random,
            threads,
            allow_private=config.webhooks.allow_private,
            agent=f"Gatepost/{__version__}",
        )

    return WebhookWork(
        database, Dispatcher(follower, book, f"https://{config.hostname}", clock), sender, clock
    )


def notice_work(ground: Ground) -> NoticeWork:
    """Notices to tenants' contacts."""
    config, clock = ground.config, ground.clock
    database = ground.locations[config.default_location]
    sealer = ground.master_key.sealer("dkim")
    signer = Signer(KeyCache(lambda record: open_key(sealer, record)))

    @contextlib.contextmanager
    def writer() -> Iterator[NoticeWriter]:
        directory = Directory(ground.control, clock=clock)
        try:
            directory.refresh()
            mail = PlatformMail(directory, signer, ground.organisations.domain, config.hostname)
            yield NoticeWriter(mail, ground.ids)
        finally:
            directory.stop()

    return NoticeWork(
        database,
        ground.control,
        Follower("notices", event_feed(ground), database, clock),
        Templates.load(config.notices.templates),
        writer,
        NoticeWords(config.hostname, config.notices.upgrade_url),
        clock,
    )
