"""What follows the feed of events in the control process: webhooks."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from gateway import __version__
from gateway.app.desk import control_services, event_feed
from gateway.app.parts import Ground
from gateway.control.services import ControlServices
from gateway.control.webhooks.records import WebhookBook
from gateway.control.webhooks.secret import PURPOSE
from gateway.outgoing.follower import Follower
from gateway.outgoing.webhooks.dispatcher import Dispatcher
from gateway.outgoing.webhooks.sender import Sender
from gateway.outgoing.webhooks.work import WebhookWork
from gateway.system.dns import HostsFile, Resolver, ServerQuery
from gateway.system.webclient import WebClient


def event_work(ground: Ground) -> list[WebhookWork]:
    """What events ask for, each to be run in this event loop. Raises SecretError, DatabaseAway."""
    return [webhook_work(ground, control_services(ground))]


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
