"""The watch from end to end over real databases: domains become active, degrade and recover by themselves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.local import local_sight
from gateway.control.domains.watch.looking import Looker
from gateway.control.domains.watch.store import KEPT_SECONDS, WatchStore
from gateway.control.domains.watch.watcher import DomainWatch
from gateway.control.errors import NotFound, TooMany
from gateway.control.events.audited import AuditedEvents
from gateway.control.events.source import Wanted
from gateway.control.keys.view import KeyView
from gateway.control.services import ControlServices
from gateway.system.authority import AuthoritySettings, Budget
from gateway.system.clock import ManualClock, SystemClock
from gateway.system.database import Database
from gateway.system.observation import Observation, Question
from tests.support.control import OPERATOR, SETTINGS, MakeServices, limited
from tests.support.sight import Words, sight_of

HOUR, DAY = 3_600.0, 86_400.0
NAME = "acme.test"


class World:
    """Services, a watch over them, and a DNS of words."""

    def __init__(
        self, url: str, make_services: MakeServices, location: Database, *, publishes: bool = False
    ) -> None:
        self.clock, self.words = ManualClock(), Words()
        self.store = WatchStore(location)
        sight = sight_of(self.words, self.clock, self.store)
        settings = replace(SETTINGS, publishes=publishes)
        self.services: ControlServices = make_services(url, clock=self.clock, sight=sight, settings=settings)
        self.services.bootstrap()
        self.services.tenants.create(OPERATOR, "acme")
        self.services.tenants.create(OPERATOR, "globex")
        looker = Looker(self.words, self.clock)
        self.watch = DomainWatch(self.services, self.store, looker, self.clock)

    def add(self, name: str = NAME, tenant: str = "acme") -> str:
        return self.services.domains.add(OPERATOR, name, tenant=tenant).id

    def publish(self, domain: str = NAME, *purposes: str) -> None:
        for record in self.services.domains.records(OPERATOR, domain):
            if record.publisher == "customer" and (not purposes or record.purpose in purposes):
                self.words.publish(record.name, record.type, record.value)

    def publish_ours(self) -> None:
        """What the platform publishes for the domain, as of now."""
        for record in self.services.domains.records(OPERATOR, NAME):
            if record.publisher == "platform":
                self.words.publish(record.name, record.type, record.value)

    def spare(self) -> RecordView:
        """The alias that no key needs yet."""
        found = self.services.domains.records(OPERATOR, NAME)
        return next(one for one in found if one.type == "CNAME" and not one.required)

    def withdraw(self, *purposes: str) -> None:
        for record in self.services.domains.records(OPERATOR, NAME):
            if record.purpose in purposes:
                self.words.publish(record.name, record.type)

    async def go(self, seconds: float = 0.0) -> int:
        """Let time pass, and all looks be made that are due then."""
        self.clock.advance(seconds)
        return await self.watch.poll_due()

    def state(self, reference: str = NAME) -> str:
        return self.services.domains.show(OPERATOR, reference).state

    def events(self) -> list[str]:
        page = AuditedEvents(self.services.writes.database).read((0,), 500, Wanted())
        names = [
            event.type.removeprefix("gatepost.domain.")
            for _, event in page.events
            if ".domain." in event.type
        ]
        return [name for name in names if name != "created"]


@pytest.fixture
def world(control_url: str, make_services: MakeServices, location_database: Database) -> Iterator[World]:
    yield World(control_url, make_services, location_database)


async def test_a_domain_becomes_active_by_itself_and_is_looked_at_every_hour(world: World) -> None:
    world.add()
    assert await world.go() == 1
    assert (world.state(), await world.go(59)) == ("pending", 0)
    assert await world.go(2) == 1
    world.publish(NAME, "ownership")
    await world.go(121)
    assert world.state() == "verifying"
    check = world.services.domains.checked(OPERATOR, NAME)
    assert check.reason is not None
    assert "_domainkey" in check.reason
    assert check.next_look_at is not None
    world.publish(NAME)
    await world.go(check.next_look_at - world.clock.now())
    assert world.state() == "active"
    # The domain has changed: it is looked at once more at once, then hourly.
    assert [await world.go(), await world.go(HOUR - 1), await world.go(2)] == [1, 0, 1]
    assert world.events() == ["verifying", "active"]
    (entry, *_) = world.services.audit.list(OPERATOR, operation="domain.verify")
    assert (entry.actor_kind, entry.actor_id) == ("system", "domain-watch")


async def test_a_lost_record_warns_at_once_and_degrades_after_a_day(world: World) -> None:
    world.add()
    world.publish()
    await world.go()
    assert world.state() == "active"
    await world.go()
    world.withdraw("dkim")
    await world.go(HOUR)
    assert (world.state(), world.events()[-1]) == ("active", "record_lost")
    for _ in range(22):
        await world.go(HOUR)
    assert world.state() == "active"
    await world.go(2 * HOUR)
    assert world.state() == "degraded"
    world.publish()
    await world.go(HOUR + 600)
    assert world.state() == "active"
    assert world.events()[1:] == ["record_lost", "degraded", "record_recovered", "active"]


async def test_a_long_loss_suspends_and_at_last_frees_the_name(world: World) -> None:
    world.add()
    world.publish()
    await world.go()
    world.withdraw("ownership", "dkim")
    for days in (1.0, 1.1, 29.5, 31.0):
        await world.go(days * DAY)
    assert world.state() == "expired"
    assert [one for one in world.events() if "record" not in one] == [
        "active",
        "degraded",
        "suspended",
        "expired",
    ]
    theirs = world.add(tenant="globex")
    world.publish(theirs)
    await world.go(2 * HOUR)
    assert world.state(theirs) == "active"


async def test_a_rotation_into_an_alias_that_is_gone_warns_and_takes_nothing_down(
    control_url: str, make_services: MakeServices, location_database: Database
) -> None:
    world = World(control_url, make_services, location_database, publishes=True)
    world.add()
    world.publish()
    world.publish_ours()
    await world.go()
    await world.go()
    assert (world.state(), world.spare().required) == ("active", False)
    spare = world.spare()
    world.words.publish(spare.name, "CNAME")
    for _ in range(61):
        await world.go(DAY)
    told = world.events()
    assert told[-1] == "active"
    world.services.keys.rotate(OPERATOR, NAME)
    for _ in range(5):
        await world.go(120)
    assert (world.state(), world.events()) == ("active", [*told, "record_lost"])
    for _ in range(62):
        world.publish_ours()
        await world.go(DAY)
    assert (world.state(), world.events()) == ("active", [*told, "record_lost"])
    world.words.publish(spare.name, "CNAME", spare.value)
    world.publish_ours()
    await world.go(2 * HOUR)
    states = {key.selector: key.state for key in world.services.keys.list(OPERATOR, domain=NAME)}
    assert sorted(states.values()) == ["active", "retiring"]
    assert (world.state(), world.events()) == ("active", [*told, "record_lost", "record_recovered"])


async def test_a_waiting_keys_alias_counts_once_no_other_key_signs(
    control_url: str, make_services: MakeServices, location_database: Database
) -> None:
    world = World(control_url, make_services, location_database, publishes=True)
    world.add()
    world.publish()
    world.publish_ours()
    await world.go()
    world.words.publish(world.spare().name, "CNAME")
    await world.go(DAY)
    world.services.keys.rotate(OPERATOR, NAME)
    await world.go(40 * DAY)
    old = next(key for key in world.services.keys.list(OPERATOR, domain=NAME) if key.state == "active")
    world.services.keys.revoke(OPERATOR, old.id)
    await world.go(60)
    await world.go(23 * HOUR)
    assert world.state() == "active"
    await world.go(2 * HOUR)
    assert world.state() == "degraded"


async def test_servers_that_are_away_take_nothing_down(world: World) -> None:
    world.add()
    world.publish()
    await world.go()
    world.words.away = {record.name for record in world.services.domains.records(OPERATOR, NAME)}
    for _ in range(5):
        await world.go(20 * DAY)
    assert (world.state(), world.events()) == ("active", ["active"])
    states = {one.purpose: one.state for one in world.services.domains.checked(OPERATOR, NAME).records}
    assert set(states.values()) == {"unreachable"}, states


async def test_a_claim_without_proof_expires_and_a_look_by_hand_takes_it_up_again(world: World) -> None:
    world.add()
    await world.go()
    await world.go(14 * DAY)
    assert world.state() == "expired"
    assert await world.go(99 * DAY) == 0
    world.publish()
    assert (await asyncio.to_thread(world.services.domains.verify, OPERATOR, NAME)).domain.state == "active"
    assert await world.go() == 1


async def test_a_claim_whose_zone_never_answers_expires_too(world: World) -> None:
    world.add()
    world.words.away = {record.name for record in world.services.domains.records(OPERATOR, NAME)}
    await world.go()
    await world.go(13 * DAY)
    assert world.state() == "pending"
    await world.go(2 * DAY)
    assert (world.state(), world.events()) == ("expired", ["expired"])


async def test_the_first_proof_wins_and_the_other_claim_says_why_it_waits(world: World) -> None:
    mine, theirs = world.add(), world.add(tenant="globex")
    world.publish(mine)
    await world.go()
    assert world.state(mine) == "active"
    for record in world.services.domains.records(OPERATOR, theirs):
        if record.publisher == "customer":
            known = world.words.authority.get((record.name, record.type), ())
            both = dict.fromkeys([*known, record.value]) if record.purpose == "ownership" else [record.value]  # type: ignore[misc]
            world.words.publish(record.name, record.type, *both)
    await world.go(HOUR)
    assert (world.state(mine), world.state(theirs)) == ("active", "pending")
    assert "held by another tenant" in (world.services.domains.checked(OPERATOR, theirs).reason or "")


async def test_a_key_is_used_once_everybody_sees_it_and_a_new_record_is_looked_for_at_once(
    world: World,
) -> None:
    world.add()
    world.publish()
    await world.go()
    await world.go()
    (new,) = world.services.keys.rotate(OPERATOR, NAME)
    assert await world.go() == 1
    assert world.services.keys.show(OPERATOR, new.id).state == "pending"
    world.words.authority[new.name, "TXT"] = [new.record_value]
    await world.go(120)
    assert world.services.keys.show(OPERATOR, new.id).state == "pending"
    world.words.publish(new.name, "TXT", new.record_value)
    await world.go(70)
    assert world.services.keys.show(OPERATOR, new.id).state == "active"
    assert world.state() == "active"


async def test_a_shards_key_makes_no_domain_active_and_signs_once_everybody_sees_it(world: World) -> None:
    world.add()
    shard = world.services.shards.create(OPERATOR, "s1.acme.test", tenant="acme", sign=True)

    def key_of(name: str) -> KeyView:
        [found] = [one for one in world.services.keys.list(OPERATOR) if one.domain == name]
        return found

    world.publish()
    own = key_of(NAME)
    world.words.publish(own.name, "TXT")
    await world.go()
    await world.go()
    assert (world.state(), key_of(shard.name).state) == ("verifying", "active")
    world.words.publish(own.name, "TXT", own.record_value)
    await world.go(HOUR)
    assert world.state() == "active"
    (new,) = world.services.keys.rotate(OPERATOR, shard.name)
    assert new.state == "pending"
    # The look is due at once: the key is the domain's business.
    world.words.publish(new.name, "TXT", new.record_value)
    await world.go()
    await world.go()
    assert world.services.keys.show(OPERATOR, new.id).state == "active"


async def test_a_new_shards_missing_alias_is_no_loss(world: World) -> None:
    world.add()
    world.publish()
    await world.go()
    world.services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    for _ in range(30):
        await world.go(2 * HOUR)
    assert (world.state(), world.events()) == ("active", ["active"])
    hint = next(
        one.hint for one in world.services.domains.checked(OPERATOR, NAME).records if one.type == "CNAME"
    )
    assert hint is not None


async def test_history_has_a_row_only_where_something_changed(world: World) -> None:
    world.add()
    for _ in range(4):
        await world.go(HOUR)
    world.publish(NAME, "ownership")
    await world.go(HOUR)
    drifts = world.services.domains.history(OPERATOR, NAME)
    seen = [(drift.type, drift.purpose, drift.before, drift.after) for drift in reversed(drifts)]
    assert seen == [
        ("TXT", "ownership", "unchecked", "missing"),
        ("TXT", "dkim", "unchecked", "missing"),
        ("TXT", "dmarc", "unchecked", "missing"),
        ("TXT", "ownership", "missing", "valid"),
        (None, None, "pending", "verifying"),
    ]
    assert drifts[1].found[0].startswith("gatepost-verification=")
    caller = limited(world.services.tenants.show(OPERATOR, "globex").id)
    for look in (world.services.domains.history, world.services.domains.checked):
        with pytest.raises(NotFound):
            look(caller, NAME)
    world.clock.advance(KEPT_SECONDS + DAY)
    assert world.store.purge(world.clock.now()) == 5


async def test_a_call_may_look_some_times_at_once_and_hears_when_again(world: World) -> None:
    world.add()

    def verify_often() -> int:
        for count in range(10):
            try:
                world.services.domains.verify(OPERATOR, NAME)
            except TooMany as error:
                assert 1 <= error.retry_after <= 10
                assert f"again in {error.retry_after} s" in error.fix
                return count
        return 10

    assert await asyncio.to_thread(verify_often) == 6
    world.clock.advance(10)
    assert (await asyncio.to_thread(world.services.domains.verify, OPERATOR, NAME)).domain.state == "pending"


async def test_domains_that_are_gone_are_forgotten(world: World) -> None:
    domain_id = world.add()
    await world.go()
    assert world.store.known() == {domain_id}
    world.services.domains.mark_verified(OPERATOR, NAME, "a test")
    assert world.store.known() == {domain_id}
    trial = world.services.domains.show(OPERATOR, "acme.trial.gatepost.test")
    await world.go(2 * HOUR)
    assert trial.id not in world.store.known()
    world.store.leave({domain_id})
    assert (world.store.known(), world.store.drifts(domain_id, "", 9)) == (set(), ())


async def test_a_look_that_was_broken_off_is_made_when_it_watches_again(world: World) -> None:
    world.add()
    world.publish()
    answered, begun = world.words.ask, asyncio.Event()

    async def endless(question: Question, near: str, budget: Budget) -> Observation:
        begun.set()
        await asyncio.Event().wait()
        return await answered(question, near, budget)

    world.words.ask = endless  # type: ignore[method-assign]
    stop = asyncio.Event()
    running = asyncio.create_task(world.watch.run(stop))
    async with asyncio.timeout(20):
        await begun.wait()
    stop.set()
    await running
    assert world.state() == "pending"
    world.words.ask = answered  # type: ignore[method-assign]
    await world.go()
    assert world.state() == "active"


async def test_it_watches_until_it_is_told_to_stop(world: World) -> None:
    world.add()
    world.publish()
    stop = asyncio.Event()
    running = asyncio.create_task(world.watch.run(stop))
    while world.state() != "active":
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert (
        world.store.read(
            world.services.domains.show(OPERATOR, NAME).id, world.services.tenants.show(OPERATOR, "acme").id
        ).looked_at
        is not None
    )


def test_a_look_by_hand_ends_soon_where_the_resolver_says_nothing(
    control_url: str, make_services: MakeServices
) -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = AuthoritySettings((server,), timeout_seconds=0.2)
        services = make_services(control_url, sight=local_sight(settings, SystemClock()))
        services.bootstrap()
        services.tenants.create(OPERATOR, "acme")
        services.domains.add(OPERATOR, NAME, tenant="acme")
        for number in range(17):
            services.shards.create(OPERATOR, f"s{number}.{NAME}", tenant="acme")
        check = services.domains.verify(OPERATOR, NAME)
        asked = 0
        with suppress(BlockingIOError):
            while silent.recv(2_048):
                asked += 1
    assert len(check.records) > 50
    assert {one.state for one in check.records} == {"unreachable"}
    assert all(server in (one.hint or "") for one in check.records)
    # Where the zones are, then all records at once; whatever would come after that is not asked any more.
    assert asked <= len(check.records) + 2
    assert check.domain.state == "pending"


async def test_looks_that_end_while_others_are_written_down_are_not_lost(world: World) -> None:
    for number in range(12):
        world.add(f"d{number}.test")
    ask = world.words.ask

    async def slowly(question: Question, near: str, budget: Budget) -> Observation:
        await asyncio.sleep(int(near[1:].partition(".")[0]) * 0.05)
        return await ask(question, near, budget)

    world.words.ask = slowly  # type: ignore[method-assign]
    stop = asyncio.Event()
    running = asyncio.create_task(world.watch.run(stop))
    while len(world.words.asked) < 12 * 5 or await asyncio.to_thread(world.store.due, world.clock.now(), 1):
        assert not running.done()
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert len(world.words.asked) == 12 * 5
