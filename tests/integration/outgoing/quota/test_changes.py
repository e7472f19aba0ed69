"""What the control plane changes, the quota obeys: limits raised for a time, plans, accounts that move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.control.directory import Directory
from gateway.control.records import Identity
from gateway.control.services import ControlServices
from gateway.outgoing.queue import QueueStore
from gateway.outgoing.quota import QuotaRefused, charges_for
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import new_message, new_recipient, running_store
from tests.support.control import OPERATOR, MakeServices, TickingClock
from tests.support.databases import MakeUrl

NOON = 1_800_014_400.0  # 2027-01-15T12:00Z: a day, an hour and a month that go on for long enough
ADDRESS = "bob@acme.test"


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock(NOON)


@pytest.fixture
def services(
    make_database_url: MakeUrl, make_services: MakeServices, clock: TickingClock, tmp_path: Path
) -> ControlServices:
    """Acme with bob, in a workspace that allows three messages a day; another allows five."""
    services = make_services(make_database_url("control", "control"), clock=clock)
    services.bootstrap()
    for name, daily in (("three", 3), ("five", 5)):
        (tmp_path / f"{name}.toml").write_text(f"[limits.account]\nmessages_per_day = {daily}\n")
        services.policies.apply(OPERATOR, tmp_path / f"{name}.toml")
    services.tenants.create(OPERATOR, "acme")
    services.domains.add(OPERATOR, "acme.test", tenant="acme")
    for name in ("three", "five"):
        services.workspaces.create(OPERATOR, name, tenant="acme", policy=name)
    services.accounts.create(OPERATOR, ADDRESS, tenant="acme", smtp=True, workspace="three")
    return services


@pytest.fixture
async def store(
    location_database: Database, tmp_path: Path, clock: TickingClock
) -> AsyncIterator[QueueStore]:
    async with running_store(location_database, tmp_path / "blobs", clock=clock) as store:
        yield store


@pytest.fixture
def directory(services: ControlServices, clock: TickingClock) -> Iterator[Directory]:
    directory = Directory(services.writes.database, clock=clock)
    yield directory
    directory.stop()


class Sender:
    """Bob, as a session would have him."""

    def __init__(self, services: ControlServices, directory: Directory, store: QueueStore) -> None:
        self.services = services
        self.directory = directory
        self.store = store
        self.id = services.accounts.show(OPERATOR, ADDRESS).id

    async def identity(self) -> Identity:
        """Who bob is now."""
        self.directory.refresh()
        found = await self.directory.identity(self.id, None, "smtp")
        assert isinstance(found, Identity)
        return found

    async def sends(self, most: int = 20) -> tuple[int, str]:
        """How many messages are taken until one is refused, and the document that refused it."""
        for taken in range(most):
            identity = await self.identity()
            message = new_message(new_recipient(), account_id=self.id, charges=charges_for(identity, 1))
            try:
                await self.store.add(message)
            except QuotaRefused as refusal:
                return taken, refusal.charge.document
        return most, ""


@pytest.fixture
def bob(services: ControlServices, directory: Directory, store: QueueStore) -> Sender:
    return Sender(services, directory, store)


async def test_a_raise_holds_until_its_time_and_is_named(bob: Sender, clock: TickingClock) -> None:
    assert await bob.sends() == (3, "policy three")
    raised = bob.services.raises.create(
        OPERATOR, ADDRESS, {"daily": 6}, until=clock.now() + 3600, reason="launch"
    )
    source = (await bob.identity()).policy.account.messages_per_day.source
    assert source.startswith(f"raise {raised.id} until 2027-01-15T13:00:")
    assert await bob.sends() == (3, source)
    clock.advance(3600)
    limit = (await bob.identity()).policy.account.messages_per_day
    assert (limit.value, limit.source) == (3, "policy three")
    assert await bob.sends() == (0, "policy three")


async def test_a_raise_that_is_called_off_ends_at_once(bob: Sender, clock: TickingClock) -> None:
    raised = bob.services.raises.create(
        OPERATOR, ADDRESS, {"daily": 6}, until=clock.now() + 3600, reason="launch"
    )
    assert (await bob.identity()).policy.account.messages_per_day.value == 6
    bob.services.raises.revoke(OPERATOR, raised.id)
    assert await bob.sends() == (3, "policy three")


async def test_a_raise_never_lifts_above_the_plan_of_the_day(bob: Sender, clock: TickingClock) -> None:
    bob.services.raises.create(OPERATOR, ADDRESS, {"daily": 150}, until=clock.now() + 3600, reason="launch")
    assert (await bob.identity()).policy.account.messages_per_day.value == 150
    bob.services.tenants.update(OPERATOR, "acme", plan="trial")
    limit = (await bob.identity()).policy.account.messages_per_day
    assert limit.value == 100
    assert limit.source.startswith("raise ")


async def test_a_raise_of_another_account_or_tenant_changes_nothing(bob: Sender, clock: TickingClock) -> None:
    bob.services.accounts.create(OPERATOR, "ann@acme.test", tenant="acme", smtp=True, workspace="three")
    bob.services.raises.create(
        OPERATOR, "ann@acme.test", {"daily": 6}, until=clock.now() + 3600, reason="launch"
    )
    assert await bob.sends() == (3, "policy three")


async def test_moving_never_resets_a_quota(bob: Sender) -> None:
    assert await bob.sends() == (3, "policy three")
    bob.services.accounts.move(OPERATOR, [ADDRESS], workspace="five")
    assert await bob.sends() == (2, "policy five")
    bob.services.accounts.move(OPERATOR, [ADDRESS], workspace="three")
    assert await bob.sends() == (0, "policy three")
    bob.services.tenants.move(OPERATOR, "acme", "five")
    assert await bob.sends() == (0, "policy five")


async def test_another_plan_holds_for_the_next_message(bob: Sender, tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "tiny.toml").write_text("[limits.tenant]\nmessages_per_day = 1\n")
    bob.services.policies.apply(OPERATOR, tmp_path / "plans" / "tiny.toml")
    bob.services.tenants.update(OPERATOR, "acme", plan="tiny")
    assert await bob.sends() == (1, "plan tiny")
    bob.services.tenants.update(OPERATOR, "acme", plan="standard")
    assert await bob.sends() == (2, "policy three")
