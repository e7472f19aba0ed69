"""Publishing to a real name server.

Fixtures:
    resolver     a fresh Unbound over it
    zones        a fresh Knot server with the platform's zone and two customers'
    publishing   services that publish to it, with a tenant `acme`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from gateway.control.domains.publishing.keylook import KeyLook
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.server import NameServer
from gateway.control.domains.publishing.service import PublishingService
from gateway.control.domains.publishing.updates import UpdateChannel, load_secret
from gateway.control.domains.publishing.work import PublishingWork
from gateway.control.services import ControlServices
from gateway.system.database import Database
from tests.support.control import OPERATOR, SETTINGS, MakeServices
from tests.support.nameservers import (
    CUSTOMER_ZONES,
    TSIG_NAME,
    TSIG_SECRET,
    Authority,
    LocalResolver,
    running_authority,
    running_resolver,
)
from tests.support.peers import RequirePeer

PUBLISHING = replace(SETTINGS, publishes=True)
TTL = 60


@dataclass(frozen=True)
class Publishing:
    """The services, what publishes for them, and the server it goes to."""

    services: ControlServices
    service: PublishingService
    work: PublishingWork
    zones: Authority


@pytest.fixture
def zones(require_peer: RequirePeer) -> Iterator[Authority]:
    """A fresh Knot with the platform's zone and two customers'."""
    with running_authority(require_peer, *CUSTOMER_ZONES) as running:
        yield running


def channel(zones: Authority, secret: str = TSIG_SECRET) -> UpdateChannel:
    """A channel to the platform's zone."""
    server = NameServer("127.0.0.1", zones.port, TSIG_NAME, "hmac-sha256", lambda: load_secret(secret))
    return UpdateChannel(server, ["gatepost.test"], TTL)


def publishing_over(
    services: ControlServices, location: Database, zones: Authority, resolver_port: int = 0
) -> Publishing:
    """What publishes for these services; without a resolver the server itself stands for one."""
    to = channel(zones)
    service = PublishingService(services.writes, location, services.settings, to)
    resolve = ResolverLook([("127.0.0.1", resolver_port or zones.port)])
    look = KeyLook(services.writes, services.keys, services.settings, to, resolve)
    return Publishing(services, service, PublishingWork(services.writes, service, look), zones)


@pytest.fixture
def resolver(require_peer: RequirePeer, zones: Authority) -> Iterator[LocalResolver]:
    """A fresh Unbound over it."""
    with running_resolver(require_peer, dict.fromkeys(zones.zones, zones.port)) as running:
        yield running


@pytest.fixture
def publishing(
    control_url: str,
    location_database: Database,
    make_services: MakeServices,
    zones: Authority,
    resolver: LocalResolver,
) -> Publishing:
    """Bootstrapped services that publish, with a tenant `acme`."""
    services = make_services(control_url, settings=PUBLISHING)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    return publishing_over(services, location_database, zones, resolver.port)
