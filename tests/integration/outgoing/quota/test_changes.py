"""What the control plane changes, the quota obeys: limits raised for a time, plans, accounts that move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.control.directory import Directory, Refused, RefusedReason
from gateway.control.records import Identity
from gateway.control.services import ControlServices
from gateway.control.workspaces.settling import Settlement
from gateway.outgoing.queue import QueueStore
from gateway.outgoing.quota import QuotaRefused, charges_for
from gateway.outgoing.quota.carrying import Carrier
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


@pytest.fixture
def elsewhere_database(make_database_url: MakeUrl) -> Iterator[Database]:
    with Database.open(make_database_url("eu", "location"), purpose="eu") as database:
        yield database


@pytest.fixture
async def elsewhere(
    elsewhere_database: Database, tmp_path: Path, clock: TickingClock
) -> AsyncIterator[QueueStore]:
    async with running_store(elsewhere_database, tmp_path / "eu", clock=clock) as store:
        yield store


class Sender:
    """Bob, as a session would have him."""

    def __init__(
        self, services: ControlServices, directory: Directory, stores: dict[str, QueueStore]
    ) -> None:
        self.services = services
        self.directory = directory
        self.stores = stores
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
                await self.stores[identity.workspace.location].add(message)
            except QuotaRefused as refusal:
                return taken, refusal.charge.document
        return most, ""


@pytest.fixture
def bob(services: ControlServices, directory: Directory, store: QueueStore) -> Sender:
    return Sender(services, directory, {"default": store})


class Locations:
    """Both locations' quotas, and the job that lets counters follow."""

    def __init__(
        self, bob: Sender, default: Database, eu: Database, clock: TickingClock, store: QueueStore
    ) -> None:
        self.bob = bob
        self.clock = clock
        bob.stores["eu"] = store
        carrier = Carrier({"default": default, "eu": eu}, clock)
        self._settlement = Settlement(bob.services.writes, carrier)

    async def settle(self) -> int:
        """Nothing is taken until every worker has obeyed for certain; then the job runs."""
        self.bob.directory.refresh()
        refused = await self.bob.directory.identity(self.bob.id, None, "smtp")
        assert refused == Refused(RefusedReason.UNAVAILABLE)
        assert self._settlement.run(OPERATOR) == 0
        self.clock.advance(4)
        return self._settlement.run(OPERATOR)


@pytest.fixture
def locations(
    bob: Sender,
    location_database: Database,
    elsewhere_database: Database,
    elsewhere: QueueStore,
    clock: TickingClock,
) -> Locations:
    """A workspace of five a day in another location beside those of three and five."""
    bob.services.workspaces.create(OPERATOR, "five-eu", tenant="acme", policy="five", location="eu")
    return Locations(bob, location_database, elsewhere_database, clock, elsewhere)


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


async def test_moving_to_another_location_and_back_never_resets_a_quota(
    bob: Sender, locations: Locations
) -> None:
    assert await bob.sends() == (3, "policy three")
    bob.services.accounts.move(OPERATOR, [ADDRESS], workspace="five-eu")
    assert await locations.settle() == 1
    assert await bob.sends() == (2, "policy five")
    bob.services.accounts.update(OPERATOR, ADDRESS, workspace="five")
    assert await locations.settle() == 1
    assert await bob.sends() == (0, "policy five")


async def test_an_account_that_comes_back_before_its_counters_left_goes_on_at_once(
    bob: Sender, locations: Locations
) -> None:
    assert await bob.sends() == (3, "policy three")
    bob.services.accounts.move(OPERATOR, [ADDRESS], workspace="five-eu")
    bob.services.accounts.move(OPERATOR, [ADDRESS], workspace="five")
    assert await bob.sends() == (2, "policy five")


async def test_a_workspace_that_goes_elsewhere_takes_all_counters_along(
    bob: Sender, locations: Locations, tmp_path: Path
) -> None:
    (tmp_path / "three.toml").write_text(
        "[limits.account]\nmessages_per_day = 8\n[limits.tenant]\nmessages_per_day = 4\n"
        "[limits.workspace]\nmessages_per_day = 9\n"
    )
    bob.services.policies.apply(OPERATOR, tmp_path / "three.toml")
    assert await bob.sends(2) == (2, "")
    bob.services.workspaces.update(OPERATOR, "three", location="eu")
    assert await locations.settle() == 1
    assert await bob.sends() == (2, "policy three")
    assert (await bob.identity()).policy.tenant.messages_per_day.value == 4


async def test_another_plan_holds_for_the_next_message(bob: Sender, tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "tiny.toml").write_text("[limits.tenant]\nmessages_per_day = 1\n")
    bob.services.policies.apply(OPERATOR, tmp_path / "plans" / "tiny.toml")
    bob.services.tenants.update(OPERATOR, "acme", plan="tiny")
    assert await bob.sends() == (1, "plan tiny")
    bob.services.tenants.update(OPERATOR, "acme", plan="standard")
    assert await bob.sends() == (2, "policy three")
