"""An installation with webhooks: services, a feed over both databases, a sender, and receivers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from gateway.control.events.audited import AuditedEvents
from gateway.control.events.feed import Feed
from gateway.control.events.idents import EventIds
from gateway.control.events.types import EventType
from gateway.control.services import ControlServices
from gateway.control.webhooks.records import WebhookBook
from gateway.outgoing.follower import Follower
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.audit import LocationAudit
from gateway.outgoing.queue.outbox import location_sources
from gateway.outgoing.queue.outboxrows import loose_row
from gateway.outgoing.webhooks.dispatcher import Dispatcher
from gateway.outgoing.webhooks.sender import Sender
from gateway.outgoing.webhooks.service import DeliveryService
from gateway.outgoing.webhooks.slots import Slots
from gateway.outgoing.webhooks.tables import delivery
from gateway.outgoing.webhooks.work import WebhookWork
from gateway.system.database import Database
from gateway.system.webclient import WebClient
from tests.support.control import MASTER_KEY, OPERATOR, SETTINGS, MakeServices, TickingClock

SOURCE = "https://mx.gatepost.test"
PRIVATE = replace(SETTINGS, private_webhooks=True)
AUDIT_KEY = b"a" * 32


async def loopback(host: str) -> Sequence[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


class World:
    """One tenant, `acme`, with id `acme`; another, `other`."""

    def __init__(self, services: ControlServices, location: Database, clock: TickingClock) -> None:
        self.services = services
        self.location = location
        self.clock = clock
        self.acme = services.tenants.create(OPERATOR, "acme").id
        self.other = services.tenants.create(OPERATOR, "other").id
        sources = [
            AuditedEvents(services.writes.database),
            *location_sources("default", location, EventIds(b"e" * 32)),
        ]
        self.feed = Feed(sources, clock)
        self.book = WebhookBook(services.writes.database)
        self.dispatcher = self.make_dispatcher()
        self.client: Any = WebClient(loopback, allow_private=True)
        self.deliveries = DeliveryService(
            location,
            services.webhooks,
            LocationAudit(services.writes.ids, AUDIT_KEY),
            clock,
            services.writes.ids,
            SOURCE,
        )

    @classmethod
    def make(cls, make_services: MakeServices, control_url: str, location: Database) -> World:
        # The independent verifier looks at the machine's clock.
        clock = TickingClock(time.time())
        services = make_services(control_url, clock=clock, settings=PRIVATE)
        services.bootstrap()
        return cls(services, location, clock)

    def make_dispatcher(self) -> Dispatcher:
        follower = Follower("webhooks", self.feed, self.location, self.clock)
        return Dispatcher(follower, self.book, SOURCE, self.clock)

    def hook(self, url: str, **options: Any) -> tuple[str, str]:
        """A webhook for quota events, of acme unless said: its id and secret."""
        options = {"events": ["quota.*"], "tenant": "acme"} | options
        view, secret = self.services.webhooks.create(OPERATOR, url=url, **options)
        return view.id, secret

    def happen(self, subject: str = "quota/1", tenant_id: str | None = None, **data: Any) -> None:
        """Something that webhooks are told of."""
        row = loose_row(
            EventType.QUOTA_REACHED,
            tenant_id or self.acme,
            self.clock.now(),
            {"subject": subject, "percent": 90, **data},
        )
        with self.location.write() as connection:
            connection.execute(sa.insert(tables.event), [row])

    def dispatch(self) -> int:
        """Write down what is to be sent; how many."""
        total, more = self.dispatcher.step()
        while more:
            count, more = self.dispatcher.step()
            total += count
        return total

    def sender(self, threads: ThreadPoolExecutor, slots: Slots | None = None) -> Sender:
        return Sender(
            self.location,
            self.book,
            self.client,
            MASTER_KEY.sealer("webhook"),
            self.services.webhooks.disable,
            self.clock,
            lambda: 0.0,
            threads,
            allow_private=True,
            slots=slots,
        )

    async def send(self) -> None:
        """Send what is due, and what is due after that, until nothing is."""
        with ThreadPoolExecutor(2) as threads:
            sender = self.sender(threads)
            await sender.turn()
            while sender.busy:
                await sender.idle()
                await sender.turn()

    def work(self) -> WebhookWork:
        return WebhookWork(self.location, self.dispatcher, self.sender, self.clock)

    def rows(self, **conditions: Any) -> list[Any]:
        query = sa.select(delivery).order_by(delivery.c.id).filter_by(**conditions)
        with self.location.read() as connection:
            return list(connection.execute(query))

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]


async def until(condition: Any) -> None:
    """Give the loop turns until `condition` holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
