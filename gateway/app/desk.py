"""The installation as the command line opens it: services over the databases, under the same locks."""

from __future__ import annotations

import ipaddress
from contextlib import ExitStack

from gateway.app.parts import Ground, opened
from gateway.app.watching import own_sight
from gateway.control.audit.erasure import AuditErasure
from gateway.control.audit.trail import AuditTrail
from gateway.control.domains.watch.sight import DomainSight
from gateway.control.events.audited import AuditedEvents
from gateway.control.events.feed import Feed
from gateway.control.events.idents import EventIds
from gateway.control.events.source import EventSource
from gateway.control.keys.material import KeyMaker, make_key
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.control.settings import ControlSettings
from gateway.outgoing.queue import QueueLocation, QueueService
from gateway.outgoing.queue.audit import LocationAudit
from gateway.outgoing.queue.outbox import location_sources
from gateway.outgoing.usage import UsageService
from gateway.outgoing.webhooks.service import DeliveryService
from gateway.system.config import Config

SYSTEM = Actor(kind="system", id="gatepost")


class OpenedDesk:
    """Services of an installation, until `close`."""

    def __init__(self, config: Config) -> None:
        """Raises what `opened` raises."""
        self._stack = ExitStack()
        try:
            self.ground = self._stack.enter_context(opened(config, migrate=True))
            self.services = control_services(self.ground)
            self.services.bootstrap()
            self.queue = queue_service(self.ground)
        except BaseException:
            self._stack.close()
            raise

    @classmethod
    def over(
        cls, ground: Ground, make_key: KeyMaker = make_key, sight: DomainSight | None = None
    ) -> OpenedDesk:
        """Over databases that are open, up to date, and the caller's to close."""
        desk = cls.__new__(cls)
        desk._stack = ExitStack()
        desk.ground = ground
        desk.services = control_services(ground, make_key, sight)
        desk.queue = queue_service(ground)
        return desk

    def close(self) -> None:
        """Close every database."""
        self._stack.close()


def control_services(
    ground: Ground, make_key: KeyMaker = make_key, sight: DomainSight | None = None
) -> ControlServices:
    """The control plane's services. Without a `sight` each look at a domain is one of its own."""
    config = ground.config
    settings = ControlSettings(
        hostname=config.hostname,
        trial_zone=config.trial_zone,
        default_route=config.relay.default_route,
        locations=frozenset(config.locations),
        default_location=config.default_location,
        may_leave=bool(config.relay.allowed_recipients),
        private_webhooks=config.webhooks.allow_private,
        grace_seconds=config.control.grace_seconds,
        publishes=config.publishing.is_automatic,
        record_ttl=config.publishing.ttl_seconds,
        trial_selectors=config.trial_selectors,
        dmarc_reports=config.publishing.dmarc_reports or "",
        tls_reports=config.publishing.tls_reports or "",
        addresses=_addresses(config),
        claims=config.domains.claims,
    )
    return ControlServices.open(
        ground.control,
        ground.master_key,
        settings,
        ground.clock,
        ground.ids,
        sight=sight if sight is not None else own_sight(ground),
        make_key=make_key,
    )


def _addresses(config: Config) -> tuple[str, ...]:
    """Where others reach this host, as far as the configuration says."""
    endpoints = (*config.listen.submission, *config.listen.submissions, *config.listen.inbound)
    hosts = {ipaddress.ip_address(endpoint.host) for endpoint in endpoints}
    return tuple(sorted(str(host) for host in hosts if not host.is_unspecified and not host.is_loopback))


def queue_service(ground: Ground) -> QueueService:
    """The queues of all locations."""
    locations = {
        name: QueueLocation(database, ground.blobs(name)) for name, database in ground.locations.items()
    }
    return QueueService(locations, ground.clock, ground.ids, ground.installation.durable_key("audit"))


def delivery_service(ground: Ground, services: ControlServices) -> DeliveryService:
    """What became of deliveries to webhooks: they lie in the default location."""
    database = ground.locations[ground.config.default_location]
    audit = LocationAudit(ground.ids, ground.installation.durable_key("audit"))
    source_uri = f"https://{ground.config.hostname}"
    return DeliveryService(database, services.webhooks, audit, ground.clock, ground.ids, source_uri)


def event_feed(ground: Ground) -> Feed:
    """The events of all databases as one stream."""
    ids = EventIds(ground.installation.durable_key("event-id"))
    sources: list[EventSource] = [AuditedEvents(ground.control)]
    for name, database in ground.locations.items():
        sources += location_sources(name, database, ids)
    return Feed(sources, ground.clock)


def usage_service(ground: Ground, services: ControlServices) -> UsageService:
    """What tenants use, over all locations."""
    return UsageService(services.writes, ground.locations)


def audit_trail(ground: Ground) -> AuditTrail:
    """The audit of all databases."""
    return AuditTrail(ground.control, ground.locations, ground.installation.durable_key("audit"))


def audit_erasure(ground: Ground, services: ControlServices) -> AuditErasure:
    """What erases payloads of the audit, in all databases."""
    trail = audit_trail(ground)
    chain = LocationAudit(ground.ids, ground.installation.durable_key("audit"))
    return AuditErasure(trail, services.writes, trail.locations, chain)
