"""A look asks no more than it may, believes the authority, and tells late from wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.looking import POLL_EXTRA, Looker
from gateway.control.domains.watch.values import Look, Memory, RecordMemory, Subject, record_key
from gateway.control.errors import Unavailable
from gateway.system.authority import Budget
from gateway.system.clock import ManualClock
from gateway.system.observation import Observation, Question
from tests.support.sight import Words

PROOF = RecordView("_gatepost-challenge.acme.test", "TXT", "gatepost-verification=abc", "ownership")
KEY = RecordView("s1._domainkey.acme.test", "TXT", "v=DKIM1; k=rsa; p=QUJD", "dkim")
DMARC = RecordView("_dmarc.acme.test", "TXT", "v=DMARC1; p=none", "dmarc", required=False)
SHARD = RecordView("s1.acme.test", "CNAME", "0a.shards.mx.gatepost.test", "return-path")
OURS = RecordView("0a.shards.mx.gatepost.test", "TXT", "v=spf1 -all", "spf", publisher="platform")
RECORDS = (PROOF, KEY, DMARC, SHARD)


class World:
    """Looks at one domain, each from where the one before it ended."""

    def __init__(self, *records: RecordView) -> None:
        self.words, self.clock = Words(), ManualClock()
        self.looker = Looker(self.words, self.clock)
        self.subject = Subject(
            "d", "t", "acme.test", "pending", 0.0, records or RECORDS, platform="mx.gatepost.test"
        )
        self.memory = Memory("d", "t")

    async def poll(self) -> Look:
        self.words.asked.clear()
        return self._kept(await self.looker.poll(self.subject, self.memory))

    async def examine(self) -> Look:
        self.words.asked.clear()
        return self._kept(await self.looker.examine(self.subject, self.memory))

    def _kept(self, look: Look) -> Look:
        assert look.questions == len(self.words.asked)
        self.memory = replace(self.memory, records=look.records, looks=self.memory.looks + 1)
        return look

    def known(self, record: RecordView = PROOF) -> RecordMemory:
        return self.memory.records[record_key(record)]

    def asked(self, where: str) -> list[str]:
        return [question.name for who, question in self.words.asked if who == where]


async def test_a_poll_asks_one_question_a_record_and_two_more_at_most() -> None:
    world = World()
    for published in (None, PROOF, KEY, SHARD, DMARC):
        if published is not None:
            world.words.publish(published.name, published.type, published.value)
        for _ in range(3):
            look = await world.poll()
            assert look.questions <= len(RECORDS) + POLL_EXTRA
    assert {known.propagation for known in world.memory.records.values()} == {"everywhere"}
    assert (await world.poll()).questions == len(RECORDS)
    assert world.asked("resolver") == []


async def test_the_resolver_is_not_asked_for_what_the_authority_has_not() -> None:
    world = World()
    await world.poll()
    await world.examine()
    assert {name for name in world.asked("resolver") if name in {one.name for one in RECORDS}} == set()
    assert world.known().state == "missing"


async def test_not_yet_propagated_is_told_from_wrong() -> None:
    world = World(PROOF)
    world.words.authority[PROOF.name, "TXT"] = [PROOF.value]
    await world.poll()
    known = world.known()
    assert (known.state, known.propagation, known.again_at) == ("valid", "authority", world.clock.now() + 60)
    assert "nothing is to be done" in (known.hint or "")
    assert (await world.poll()).questions == 0
    world.words.publish(PROOF.name, "TXT", PROOF.value)
    world.clock.advance(61)
    await world.poll()
    assert world.asked("authority") == []
    assert (world.known().state, world.known().propagation) == ("valid", "everywhere")
    world.words.publish(PROOF.name, "TXT", "gatepost-verification=other")
    await world.poll()
    assert (world.known().state, world.known().propagation) == ("invalid", "unknown")
    assert world.known().lost_at == world.clock.now()


async def test_what_went_away_again_while_the_resolver_was_waited_for() -> None:
    world = World(PROOF)
    world.words.authority[PROOF.name, "TXT"] = [PROOF.value]
    await world.poll()
    world.words.publish(PROOF.name, "TXT")
    world.clock.advance(61)
    await world.poll()
    assert world.known().state == "missing"


async def test_servers_that_are_away_lose_nothing() -> None:
    world = World(PROOF, KEY)
    for record in (PROOF, KEY):
        world.words.publish(record.name, record.type, record.value)
    await world.poll()
    world.words.away = {PROOF.name, KEY.name}
    await world.poll()
    assert {(known.state, known.lost_at, known.propagation) for known in world.memory.records.values()} == {
        ("unreachable", None, "everywhere")
    }
    world.words.away.clear()
    await world.poll()
    assert world.known() == RecordMemory("valid", "everywhere", (PROOF.value,), was_valid=True)


async def test_the_resolvers_word_counts_where_the_authority_has_none() -> None:
    world = World(PROOF)
    world.words.authority[PROOF.name, "TXT"] = Observation(PROOF.name, "TXT", "away", reason="REFUSED")
    world.words.resolver[PROOF.name, "TXT"] = [PROOF.value]
    await world.poll()
    assert (world.known().state, world.known().propagation) == ("valid", "everywhere")
    del world.words.resolver[PROOF.name, "TXT"]
    await world.poll()
    assert (world.known().state, world.known().lost_at) == ("unreachable", None)


async def test_an_alias_that_leads_out_of_the_zone_is_followed_by_the_resolver() -> None:
    world = World(DMARC)
    alias = Observation(DMARC.name, "TXT", "found", (), ("dmarc.other.test",))
    world.words.authority[DMARC.name, "TXT"] = alias
    world.words.resolver[DMARC.name, "TXT"] = ["v=DMARC1; p=reject"]
    await world.poll()
    assert (world.known(DMARC).state, world.known(DMARC).propagation) == ("valid", "everywhere")


async def test_other_questions_tell_what_went_wrong_and_the_hint_stays() -> None:
    world = World(PROOF, KEY, DMARC)
    world.words.publish("_gatepost-challenge.acme.test.acme.test", "TXT", PROOF.value)
    for _ in range(6):
        await world.poll()
    assert "the panel adds acme.test by itself" in (world.known().hint or "")
    await world.poll()
    await world.poll()
    assert "the panel adds acme.test by itself" in (world.known().hint or "")


@pytest.mark.parametrize(
    ("kind", "value", "hint"),
    [("A", "192.0.2.80", "it is proxied"), ("TXT", "hello", "No CNAME can stand beside it")],
)
async def test_what_stands_in_the_way_of_an_alias(kind: str, value: str, hint: str) -> None:
    world = World(SHARD)
    world.words.publish(SHARD.name, kind, value)
    await world.examine()
    assert hint in (world.known(SHARD).hint or "")


async def test_a_call_looks_at_the_platforms_records_and_at_the_customers_spf_too() -> None:
    world = World(PROOF, OURS)
    many: Sequence[str] = ["v=spf1 " + " ".join(f"include:s{n}.test" for n in range(11)) + " -all"]
    world.words.publish("acme.test", "TXT", *many)
    world.words.publish(OURS.name, "TXT", OURS.value)
    assert (await world.poll()).remarks == ()
    assert record_key(OURS) not in world.memory.records
    look = await world.examine()
    assert "needs 11 or more look-ups" in look.remarks[0]
    assert world.known(OURS).state == "valid"
    await world.poll()
    assert world.known(OURS).state == "valid"


async def test_every_record_has_its_turn_however_little_may_be_asked() -> None:
    world = World()

    async def expensive(question: Question, near: str, budget: object) -> Observation:
        budget.take()  # type: ignore[attr-defined]
        budget.take()  # type: ignore[attr-defined]
        return await Words.ask(world.words, question, near, budget)  # type: ignore[arg-type]

    world.words.ask = expensive  # type: ignore[method-assign,assignment]
    seen: set[str] = set()
    for _ in range(len(RECORDS)):
        world.words.asked.clear()
        look = await world.looker.poll(world.subject, world.memory)
        world.memory = replace(world.memory, records=look.records, looks=world.memory.looks + 1)
        seen.update(world.asked("authority"))
    assert {one.name for one in RECORDS} <= seen


async def test_whoever_waits_is_told_when_dns_takes_too_long() -> None:
    world = World()
    cancelled = []

    async def endless(question: Question, near: str, budget: object) -> Observation:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(question.name)
            raise
        raise AssertionError

    world.words.ask = endless  # type: ignore[method-assign,assignment]
    looker = Looker(world.words, world.clock, longest_seconds=0.05)
    with pytest.raises(Unavailable) as refusal:
        await looker.examine(world.subject, world.memory)
    assert refusal.value.code == "dns-too-slow"
    assert "acme.test" in refusal.value.detail
    assert "[dns] servers" in refusal.value.fix
    assert len(cancelled) == len(RECORDS)


async def test_a_slow_resolver_is_asked_for_all_records_at_once() -> None:
    world = World()
    for record in RECORDS:
        world.words.publish(record.name, record.type, record.value)
    here, all_here = [], asyncio.Event()
    answered = world.words.ask_resolver

    async def together(question: Question, budget: Budget) -> Observation:
        here.append(question)
        if len(here) == len(RECORDS):
            all_here.set()
        await all_here.wait()
        return await answered(question, budget)

    world.words.ask_resolver = together  # type: ignore[method-assign]
    look = await world.examine()
    assert {one.propagation for one in look.views()} == {"everywhere"}
