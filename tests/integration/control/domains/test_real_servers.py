"""The watch against a real authority and a real resolver: delay, errors of each kind, silence."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.local import local_sight
from gateway.control.domains.watch.looking import POLL_EXTRA, Looker
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.store import WatchStore
from gateway.control.domains.watch.subjects import subject_of
from gateway.control.domains.watch.values import Memory
from gateway.control.domains.watch.watcher import DomainWatch
from gateway.control.services import ControlServices
from gateway.system.authority import AuthoritySettings, Budget, open_authorities
from gateway.system.clock import SystemClock
from gateway.system.database import Database
from gateway.system.observation import Question
from tests.support.control import OPERATOR, MakeServices
from tests.support.databases import Templates
from tests.support.dnscounter import CountingWay
from tests.support.nameservers import Authority, LocalResolver

NAME = "acme.test"
_PATIENCE_SECONDS = 30.0


class World:
    """Services and a watch that ask the real servers, with short times."""

    def __init__(
        self,
        url: str,
        make_services: MakeServices,
        location: Database,
        authority: Authority,
        resolver: LocalResolver,
    ) -> None:
        self.name = NAME
        clock = SystemClock()
        settings = AuthoritySettings((resolver.address,), 1_000, port=authority.port, timeout_seconds=1.0)
        timing = Timing(grace=0.0, first=0.2, longest=0.5)
        store = WatchStore(location)
        sight = local_sight(settings, clock, book=store, timing=timing)
        self.authority = authority
        self.services: ControlServices = make_services(url, clock=clock, sight=sight)
        self.services.bootstrap()
        self.services.tenants.create(OPERATOR, "acme")
        self.authorities = open_authorities(settings, clock, secrets.randbits)
        self.watch = DomainWatch(self.services, store, Looker(self.authorities, clock), clock)

    def records(self) -> dict[str, RecordView]:
        return {
            one.purpose: one
            for one in self.services.domains.records(OPERATOR, self.name)
            if one.publisher == "customer"
        }

    def seen(self, purpose: str) -> RecordView:
        check = self.services.domains.checked(OPERATOR, self.name)
        return next(one for one in check.records if one.purpose == purpose and one.publisher == "customer")

    def state(self) -> str:
        return self.services.domains.show(OPERATOR, self.name).state

    def states(self) -> list[str]:
        """The states it came to, the latest first."""
        return [one.after for one in self.services.domains.history(OPERATOR, NAME) if one.type is None]

    def publish(self, *purposes: str) -> None:
        for purpose, record in self.records().items():
            if purpose in purposes:
                self.authority.put(record.name, record.type, record.value)

    def withdraw_all(self) -> None:
        for record in self.records().values():
            for name in (record.name, f"{record.name}.{self.name}"):
                for kind in ("TXT", "CNAME", "A"):
                    self.authority.put(name, kind)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Watch until something is so."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.watch.run(stop))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not await asyncio.to_thread(condition):
                    assert not running.done()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(str(self.services.domains.checked(OPERATOR, self.name)))
        finally:
            stop.set()
            await running


@pytest.fixture
async def world(
    tmp_path: Path,
    database_templates: Templates,
    make_services: MakeServices,
    authority: Authority,
    resolver: LocalResolver,
) -> AsyncIterator[World]:
    url = database_templates.sqlite("control", tmp_path / "control.db")
    location = database_templates.sqlite("location", tmp_path / "location.db")
    with Database.open(location, purpose="default") as database:
        made = World(url, make_services, database, authority, resolver)
        yield made
        await made.authorities.close()
        made.withdraw_all()


async def test_from_a_claim_to_loss_and_back(world: World) -> None:
    world.services.domains.add(OPERATOR, NAME, tenant="acme")
    world.services.shards.create(OPERATOR, "s1.acme.test", tenant="acme")
    await world.until(lambda: world.seen("ownership").state == "missing")
    proof = world.records()["ownership"]
    world.authority.put(f"{proof.name}.{NAME}", "TXT", proof.value)
    await world.until(lambda: "the panel adds acme.test" in (world.seen("ownership").hint or ""))
    world.authority.put("s1.acme.test", "A", "192.0.2.80")
    await world.until(lambda: "it is proxied" in (world.seen("return-path").hint or ""))
    world.publish("ownership")
    await world.until(lambda: world.state() == "verifying")
    key = world.records()["dkim"]
    world.authority.put(key.name, "TXT", key.value[:-40])
    await world.until(lambda: "cut off" in (world.seen("dkim").hint or ""))
    world.publish("dkim")
    await world.until(lambda: world.state() == "active")
    world.authority.put(key.name, "TXT")
    await world.until(lambda: world.state() == "degraded")
    world.publish("dkim")
    await world.until(lambda: world.state() == "active")
    told = [one.after for one in reversed(world.services.domains.history(OPERATOR, NAME)) if one.type is None]
    assert told == ["verifying", "active", "degraded", "active"]


async def test_a_change_that_the_resolver_does_not_show_yet_is_late_and_not_wrong(world: World) -> None:
    # A zone of its own: the resolver remembers for longer than this test lasts.
    world.name = "other.test"
    world.services.domains.add(OPERATOR, world.name, tenant="acme")
    proof = world.records()["ownership"]
    world.authority.put(proof.name, "TXT", "gatepost-verification=other", ttl=600)
    await world.authorities.ask_resolver(Question(proof.name, proof.type), Budget(5))
    world.publish("ownership", "dkim")
    check = await asyncio.to_thread(world.services.domains.verify, OPERATOR, world.name)
    found = next(one for one in check.records if one.purpose == "ownership")
    assert (found.state, found.propagation) == ("valid", "authority")
    assert "The resolver keeps an older answer" in (found.hint or "")
    assert (check.domain.state, check.next_look_at is not None) == ("verifying", True)
    assert "older answer" in (check.reason or "")


async def test_name_servers_that_stop_take_nothing_down(world: World) -> None:
    world.services.domains.add(OPERATOR, NAME, tenant="acme")
    world.publish("ownership", "dkim")
    await world.until(lambda: world.state() == "active")
    before = world.states()
    world.authority.stop()
    try:
        await world.until(lambda: world.seen("dkim").state == "unreachable")
        assert world.state() == "active"
    finally:
        world.authority.start()
    await world.until(lambda: world.seen("dkim").state == "valid")
    assert world.states() == before


class Counted:
    """Polls of one domain, whose queries are counted on their way to the authority and to the resolver."""

    def __init__(self, world: World, authority: Authority, resolver: LocalResolver) -> None:
        self.authority, self.resolver = CountingWay(authority.port), CountingWay(resolver.port)
        settings = AuthoritySettings((f"127.0.0.1:{self.resolver.port}",), 1_000, port=self.authority.port)
        self.authorities = open_authorities(settings, SystemClock(), secrets.randbits)
        self.looker = Looker(self.authorities, SystemClock())
        with world.services.writes.view() as session:
            row = session.scalars(sa.select(DomainRow).where(DomainRow.name == NAME)).one()
            self.subject = subject_of(session, row, world.services.settings)
        self.memory = Memory(row.id, row.tenant_id)
        self.records = len(world.records())

    async def poll(self) -> int:
        """How many queries a poll costs."""
        look = await self.looker.poll(self.subject, self.memory)
        self.memory = replace(self.memory, records=look.records, looks=self.memory.looks + 1)
        counted = self.authority.taken() + self.resolver.taken()
        assert counted == look.questions
        return counted

    async def close(self) -> None:
        await self.authorities.close()
        self.authority.close()
        self.resolver.close()


async def test_a_poll_costs_the_servers_no_more_than_its_records_and_two(
    world: World, authority: Authority, resolver: LocalResolver
) -> None:
    world.services.domains.add(OPERATOR, NAME, tenant="acme")
    counted = Counted(world, authority, resolver)
    proof = world.records()["ownership"]
    try:
        costs = [await counted.poll() for _ in range(4)]
        world.publish("ownership")
        costs += [await counted.poll() for _ in range(3)]
        world.publish("dkim", "dmarc")
        costs += [await counted.poll() for _ in range(4)]
        async with asyncio.timeout(_PATIENCE_SECONDS):
            # Until the resolver has forgotten that there was nothing, each poll asks the authority too.
            while costs[-1] != counted.records:
                await asyncio.sleep(0.05)
                costs.append(await counted.poll())
    finally:
        await counted.close()
    assert max(costs) <= counted.records + POLL_EXTRA
    assert counted.memory.of(proof) is not None
    assert {known.state for known in counted.memory.records.values()} == {"valid"}


async def test_answers_that_do_not_fit_cost_a_poll_no_more_and_are_read_all_the_same(
    world: World, authority: Authority, resolver: LocalResolver
) -> None:
    world.services.domains.add(OPERATOR, NAME, tenant="acme")
    counted = Counted(world, authority, resolver)
    for record in world.records().values():
        # With so much beside it no answer fits into a datagram.
        authority.put(record.name, record.type, record.value, *(str(n) * 250 for n in range(6)))
    proof = world.records()["ownership"]
    costs = []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (known := counted.memory.of(proof)) is None or known.propagation != "everywhere":
                costs.append(await counted.poll())
                # The resolver may still have what stood there before.
                await asyncio.sleep(0.05)
    finally:
        await counted.close()
    assert max(costs) <= counted.records + POLL_EXTRA
    assert known.state == "valid"
    assert counted.authority.streams_ever > 0
