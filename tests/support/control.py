"""The control plane's services over real databases, with fast keys.

Fixtures (each test runs on "sqlite" and "postgresql"):
    control_services   services over a fresh control database, bootstrapped
    make_services      a function (url) -> ControlServices, for several over one database
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gateway.control.domains.watch.sight import DomainSight
from gateway.control.keys.material import KeyMaterial, make_key
from gateway.control.records import Actor, KeyAlgorithm
from gateway.control.services import ControlServices
from gateway.control.settings import ControlSettings
from gateway.system.clock import Clock, ManualClock
from gateway.system.database import Database
from gateway.system.ids import IdSource
from gateway.system.secrets import MasterKey
from tests.support.sight import TxtLookup, Words, sight_of

OPERATOR = Actor(kind="cli", id="tester", address="127.0.0.1")
MASTER_KEY = MasterKey((b"a master key of thirty-two bytes",))
SETTINGS = ControlSettings(
    hostname="mx.gatepost.test",
    trial_zone="trial.gatepost.test",
    default_route="mx",
    locations=frozenset({"default", "eu"}),
)

MakeServices = Callable[..., ControlServices]


class TickingClock(ManualClock):
    """A clock that goes on by a millisecond whenever it is read, so that ids sort as they were made."""

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00Z."""
        self.advance(0.001)
        return super().now()


@functools.cache
def cached_key(algorithm: KeyAlgorithm, bits: int) -> KeyMaterial:
    """One real key of each kind a process: making RSA keys is slow, and most tests do not look at them."""
    return make_key(algorithm, bits)


def limited(tenant_id: str) -> Actor:
    """A caller limited to one tenant."""
    return Actor(kind="api", id="key-1", address="192.0.2.7", tenant_id=tenant_id)


@pytest.fixture
def make_services() -> Iterator[MakeServices]:
    """Open services over a database with the control schema; closed at the end."""
    with ExitStack() as stack:

        def make(
            url: str,
            *,
            master_key: MasterKey = MASTER_KEY,
            settings: ControlSettings = SETTINGS,
            clock: Clock | None = None,
            lookup: Words | TxtLookup | None = None,
            sight: DomainSight | None = None,
        ) -> ControlServices:
            database = stack.enter_context(Database.open(url, purpose="control"))
            clock = clock or TickingClock()
            # Nobody of a test asks the machine's own resolver.
            sight = sight or sight_of(lookup or Words(), clock)
            return ControlServices.open(
                database, master_key, settings, clock, IdSource(clock), sight=sight, make_key=cached_key
            )

        yield make


@pytest.fixture
def control_services(control_url: str, make_services: MakeServices) -> ControlServices:
    """Bootstrapped services over a fresh database."""
    services = make_services(control_url)
    services.bootstrap()
    return services
