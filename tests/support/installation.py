"""An installation without processes: its databases, services and queue, on a clock that the test moves.

Fixtures (each test runs on "sqlite" and "postgresql"):
    installation   bootstrapped, with the tenant "acme" and its account app@acme.example
    sending        the same with a sender for programs, running
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from gateway.app.desk import queue_service
from gateway.app.parts import Ground
from gateway.app.sending import open_sender, open_stores
from gateway.control.accounts.service import AccountView
from gateway.control.directory import Directory
from gateway.control.installation.service import Installation as Secrets
from gateway.control.services import ControlServices
from gateway.control.settings import ControlSettings
from gateway.outgoing.composing import MessageSender
from gateway.outgoing.queue import QueueService, QueueStore, tables
from gateway.system.clock import ManualClock
from gateway.system.config import load
from gateway.system.database import Database
from gateway.system.ids import IdSource
from gateway.system.secrets import MasterKey
from tests.support.control import OPERATOR, cached_key

NOW = 1_800_000_000.0
"""2027-01-15T08:00Z, a Friday."""

_CONFIG = """
hostname = "mx.gatepost.test"
state_dir = "{folder}"
[listen]
submission = []
submissions = []
[control]
url = "{control}"
[locations.default]
url = "{location}"
blobs = "{folder}/blobs"
[master_key]
file = "{folder}/master.key"
[trial]
zone = "trial.gatepost.test"
[limits]
free_space_bytes = 0
"""


@dataclass
class Installation:
    """The parts; `policy` and `message_rows` are what tests do with them."""

    ground: Ground
    services: ControlServices
    clock: ManualClock
    directory: Directory
    folder: Path
    account: AccountView = field(init=False)

    @property
    def location(self) -> Database:
        """The queue's database."""
        return self.ground.locations["default"]

    @property
    def queue(self) -> QueueService:
        """What operators see of the queue."""
        return queue_service(self.ground)

    def policy(self, text: str, name: str = "default") -> None:
        """Put a policy in force under a name, and let the directory know."""
        file = self.folder / f"{name}.toml"
        file.write_text(text)
        self.services.policies.apply(OPERATOR, file)
        self.directory.refresh()

    def rows(self, table: sa.Table = tables.message) -> list[Any]:
        """A table of the queue, in the order of its key."""
        with self.location.read() as connection:
            return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))


@dataclass
class Sending(Installation):
    """An installation with a sender. `woken` counts its hints."""

    sender: MessageSender = field(init=False)
    stores: dict[str, QueueStore] = field(init=False)
    woken: int = 0

    def wake(self) -> None:
        """A message can leave."""
        self.woken += 1


def open_installation(
    stack: ExitStack,
    folder: Path,
    control_url: str,
    location_url: str,
    kind: type[Any],
    *,
    clock: ManualClock | None = None,
    settings: ControlSettings | None = None,
) -> Any:
    """An installation over fresh databases, bootstrapped; closed with `stack`."""
    clock = clock or ManualClock(NOW)
    master_key = MasterKey.create(folder / "master.key")
    file = folder / "gatepost.toml"
    file.touch(mode=0o600)
    file.write_text(_CONFIG.format(folder=folder, control=control_url, location=location_url))
    control = stack.enter_context(Database.open(control_url, purpose="control"))
    location = stack.enter_context(Database.open(location_url, purpose="default"))
    config = load(file, {})
    ids = IdSource(clock)
    known = settings or ControlSettings(
        config.hostname, config.trial_zone, "capture:", frozenset({"default"})
    )
    services = ControlServices.open(control, master_key, known, clock, ids, make_key=cached_key)
    services.bootstrap()
    secrets = Secrets.open(control, master_key, clock)
    ground = Ground(config, clock, ids, control, {"default": location}, master_key, secrets)
    directory = Directory(control, clock=clock)
    stack.callback(directory.stop)
    return kind(ground, services, clock, directory, folder)


def add_account(installation: Installation, address: str, tenant: str, **options: Any) -> AccountView:
    """An account of a tenant with a verified domain of its own; both are made if they are not there."""
    services = installation.services
    if tenant not in {one.name for one in services.tenants.list(OPERATOR)}:
        services.tenants.create(OPERATOR, tenant)
        domain = address.partition("@")[2]
        services.domains.add(OPERATOR, domain, tenant=tenant)
        services.domains.mark_verified(OPERATOR, domain, reason="a test")
    account = services.accounts.create(OPERATOR, address, tenant=tenant, **options)
    installation.directory.refresh()
    return account


@pytest.fixture
def installation(control_url: str, location_url: str, tmp_path: Path) -> Iterator[Installation]:
    """An installation with one account."""
    with ExitStack() as stack:
        made: Installation = open_installation(stack, tmp_path, control_url, location_url, Installation)
        made.account = add_account(made, "app@acme.example", "acme", display_name="Acme App")
        yield made


@pytest_asyncio.fixture
async def sending(control_url: str, location_url: str, tmp_path: Path) -> AsyncIterator[Sending]:
    """An installation with one account, and a sender."""
    with ExitStack() as stack:
        made: Sending = open_installation(stack, tmp_path, control_url, location_url, Sending)
        made.account = add_account(made, "app@acme.example", "acme", display_name="Acme App")
        async with AsyncExitStack() as running:
            made.stores = await open_stores(made.ground, "test-1", running)
            made.sender = await open_sender(made.ground, made.directory, made.stores, running, wake=made.wake)
            yield made


def at(installation: Installation, seconds: float) -> Installation:
    """Move the clock on, and let the directory see that nothing changed meanwhile."""
    installation.clock.advance(seconds)
    installation.directory.refresh()
    return installation
