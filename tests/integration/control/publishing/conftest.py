"""Publishing to a real name server.

Fixtures:
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
    running_authority,
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


def publishing_over(services: ControlServices, location: Database, zones: Authority) -> Publishing:
    """What publishes for these services."""
    to = channel(zones)
    service = PublishingService(services.writes, location, services.settings, to)
    look = KeyLook(
        services.writes, services.keys, services.settings, to, ResolverLook([("127.0.0.1", zones.port)])
    )
    return Publishing(services, service, PublishingWork(services.writes, service, look), zones)


@pytest.fixture
def publishing(
    control_url: str, location_database: Database, make_services: MakeServices, zones: Authority
) -> Publishing:
    """Bootstrapped services that publish, with a tenant `acme`."""
    services = make_services(control_url, settings=PUBLISHING)
    services.bootstrap()
    services.tenants.create(OPERATOR, "acme")
    return publishing_over(services, location_database, zones)
