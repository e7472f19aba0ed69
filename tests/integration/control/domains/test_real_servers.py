"""The watch against a real authority and a real resolver: delay, errors of each kind, silence."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.local import local_sight
from gateway.control.domains.watch.looking import POLL_EXTRA, Looker
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.store import WatchStore
from gateway.control.domains.watch.watcher import DomainWatch
from gateway.control.services import ControlServices
from gateway.system.authority import AuthoritySettings, Budget, open_authorities
from gateway.system.clock import SystemClock
from gateway.system.database import Database
from gateway.system.observation import Question
from tests.support.control import OPERATOR, MakeServices
from tests.support.databases import Templates
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


async def test_a_poll_costs_the_servers_no_more_than_its_records_and_two(world: World) -> None:
    world.services.domains.add(OPERATOR, NAME, tenant="acme")
    domain = world.services.domains.show(OPERATOR, NAME)
    asked = []
    looker = world.watch._looker
    poll = looker.poll

    async def counted(subject: object, memory: object) -> object:
        look = await poll(subject, memory)  # type: ignore[arg-type]
        asked.append((look.questions, len(world.records())))
        return look

    looker.poll = counted  # type: ignore[method-assign,assignment]
    world.publish("ownership")
    await world.until(lambda: len(asked) >= 4)
    assert domain.state == "pending"
    assert all(count <= records + POLL_EXTRA for count, records in asked)
