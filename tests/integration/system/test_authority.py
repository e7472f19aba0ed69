"""Questions to authoritative servers, real ones and ones that misbehave."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from structlog.testing import capture_logs

from gateway.system.authority import (
    Authorities,
    AuthoritySettings,
    Budget,
    BudgetSpent,
    Busy,
    open_authorities,
)
from gateway.system.authority.exchange import Exchange
from gateway.system.authority.pace import Pace
from gateway.system.clock import ManualClock, SystemClock
from gateway.system.observation import Observation, Question
from tests.support.dns import NameServer
from tests.support.nameservers import Authority, LocalResolver

LONG = "v=DKIM1; p=" + "A" * 2_000


@pytest.fixture
async def asking(authority: Authority, resolver: LocalResolver) -> AsyncIterator[Authorities]:
    settings = AuthoritySettings((resolver.address,), queries_per_second=10_000, port=authority.port)
    authorities = open_authorities(settings, SystemClock(), secrets.randbits)
    yield authorities
    await authorities.close()


async def test_what_the_zones_servers_say(asking: Authorities, authority: Authority) -> None:
    authority.put("_dmarc.acme.test", "TXT", "v=DMARC1; p=none")
    budget = Budget(10)
    found = await asking.ask(Question("_dmarc.acme.test", "TXT"), "acme.test", budget)
    assert (found.outcome, found.answers, found.zone) == ("found", ("v=DMARC1; p=none",), "acme.test")
    assert (found.servers, found.source, budget.spent) == (("ns1.acme.test",), "authority", 3)
    gone = await asking.ask(Question("nothing.acme.test", "TXT"), "acme.test", budget)
    assert (gone.outcome, gone.seconds, budget.spent) == ("no-such-name", 1.0, 4)
    other = await asking.ask(Question("_dmarc.acme.test", "MX"), "acme.test", budget)
    assert other.outcome == "absent"


async def test_questions_at_once_look_for_the_servers_once(asking: Authorities, authority: Authority) -> None:
    authority.put("many.acme.test", "TXT", "here")
    budget = Budget(7)
    question = Question("many.acme.test", "TXT")
    answers = await asyncio.gather(*(asking.ask(question, "acme.test", budget) for _ in range(5)))
    assert [one.answers for one in answers] == [("here",)] * 5
    assert budget.left == 0


async def test_a_change_is_seen_at_the_authority_before_the_resolver_sees_it(
    asking: Authorities, authority: Authority
) -> None:
    authority.put("slow.acme.test", "TXT", "old", ttl=600)
    question = Question("slow.acme.test", "TXT")
    assert (await asking.ask_resolver(question, Budget(1))).answers == ("old",)
    authority.put("slow.acme.test", "TXT", "new", ttl=600)
    assert (await asking.ask(question, "acme.test", Budget(9))).answers == ("new",)
    late = await asking.ask_resolver(question, Budget(1))
    assert (late.answers, late.source) == (("old",), "resolver")
    assert 500 < late.seconds <= 600


async def test_an_answer_too_long_for_udp_comes_over_tcp(asking: Authorities, authority: Authority) -> None:
    authority.put("long.acme.test", "TXT", LONG)
    found = await asking.ask(Question("long.acme.test", "TXT"), "acme.test", Budget(9))
    assert found.answers == (LONG,)


async def test_a_question_asked_again_over_tcp_counts_twice_and_next_time_once(
    asking: Authorities, authority: Authority
) -> None:
    authority.put("longer.acme.test", "TXT", LONG)
    question = Question("longer.acme.test", "TXT")
    await asking.ask(Question("x.acme.test", "TXT"), "acme.test", Budget(9))
    with pytest.raises(BudgetSpent):
        await asking.ask(question, "acme.test", Budget(1))
    budget = Budget(1)
    assert (await asking.ask(question, "acme.test", budget)).answers == (LONG,)
    other, budget = Question("longest.acme.test", "TXT"), Budget(9)
    authority.put("longest.acme.test", "TXT", LONG)
    assert (await asking.ask(other, "acme.test", budget)).answers == (LONG,)
    assert budget.spent == 2


async def test_a_subdomain_lies_in_the_zone_above_it(asking: Authorities, authority: Authority) -> None:
    authority.put("x.mail.other.test", "CNAME", "elsewhere.example.")
    budget = Budget(9)
    found = await asking.ask(Question("x.mail.other.test", "CNAME"), "mail.other.test", budget)
    assert (found.zone, found.answers) == ("other.test", ("elsewhere.example",))
    assert budget.spent == 4


async def test_an_alias_out_of_the_zone_is_left_to_the_resolver(
    asking: Authorities, authority: Authority
) -> None:
    authority.put("alias.acme.test", "CNAME", "text.other.test.")
    authority.put("text.other.test", "TXT", "here")
    question = Question("alias.acme.test", "TXT")
    seen = await asking.ask_resolver(question, Budget(1))
    assert (seen.chain, seen.answers) == (("text.other.test",), ("here",))
    assert (await asking.ask(question, "acme.test", Budget(9))).chain == ("text.other.test",)


async def test_a_name_without_a_zone(asking: Authorities) -> None:
    found = await asking.ask(Question("_dmarc.nobody.example", "TXT"), "nobody.example", Budget(9))
    assert found.outcome in ("away", "no-such-name")
    impossible = await asking.ask(Question("a" * 64 + ".acme.test", "TXT"), "acme.test", Budget(9))
    assert impossible.outcome == "away"


async def test_no_more_questions_than_the_budget_allows(asking: Authorities) -> None:
    with pytest.raises(BudgetSpent):
        await asking.ask(Question("_dmarc.acme.test", "TXT"), "acme.test", Budget(2))


class Hostile:
    """A server on UDP alone that answers every TXT question as `answer` makes it."""

    def __init__(self, answer: Callable[[dns.message.Message], bytes | None]) -> None:
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            octets, client = self._socket.recvfrom(4096)
            if not octets:
                return
            query = dns.message.from_wire(octets)
            self.asked.append(query.question[0].name.to_text())
            reply = self._answer(query)
            if reply is not None:
                self._socket.sendto(reply, client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


def _reply(query: dns.message.Message, *rows: str, rcode: int = 0, aa: bool = True) -> bytes:
    reply = dns.message.make_response(query)
    reply.set_rcode(rcode)
    reply.flags |= dns.flags.AA if aa else 0
    name = query.question[0].name
    reply.answer = [dns.rrset.from_text(name, 60, "IN", *row.split(" ", 1)) for row in rows]
    return reply.to_wire(max_size=65_535)


@pytest.fixture
def known() -> Iterator[NameServer]:
    """A resolver that knows the zone's name server, and nothing else."""
    server = NameServer({("acme.test", "NS"): ["ns.acme.test."], ("ns.acme.test", "A"): ["127.0.0.1"]})
    yield server
    server.close()


async def _asked(known: NameServer, port: int, **settings: float) -> Observation:
    chosen = AuthoritySettings((f"127.0.0.1:{known.port}",), 10_000, port=port, timeout_seconds=1.0)
    authorities = open_authorities(chosen, SystemClock(), secrets.randbits)
    try:
        return await authorities.ask(Question("x.acme.test", "TXT"), "acme.test", Budget(20))
    finally:
        await authorities.close()


def _other_question(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("other.test.", "TXT", id=query.id)
    return _reply(other, 'TXT "x"')


def _many(query: dns.message.Message, count: int) -> bytes:
    reply = bytearray(_reply(query))
    reply[6:8] = count.to_bytes(2, "big")
    end = bytes(reply).index(b"\x00\x10\x00\x01") + 4
    return bytes(reply[:end]) + b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01x" * count


def _circle(query: dns.message.Message) -> bytes:
    name = query.question[0].name.to_text()
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.answer = [
        dns.rrset.from_text(name, 60, "IN", "CNAME", "y.test."),
        dns.rrset.from_text("y.test.", 60, "IN", "CNAME", name),
    ]
    return reply.to_wire()


@pytest.mark.parametrize(
    ("answer", "reason", "logged"),
    [
        (lambda query: _reply(query, rcode=dns.rcode.REFUSED), "REFUSED", False),
        (lambda query: _reply(query, rcode=dns.rcode.SERVFAIL), "SERVFAIL", False),
        (lambda query: _reply(query, 'TXT "x"', aa=False), "does not answer for the zone", False),
        (lambda _: None, "no answer in time", False),
        (lambda query: _reply(query, 'TXT "a\\000b"'), "NUL", True),
        (_circle, "circle", True),
        (_other_question, "another question", True),
        (lambda query: _many(query, 300), "300 records", True),
        (lambda query: _many(query, 4_000), "octets", True),
    ],
)
async def test_an_answer_that_is_none_is_as_good_as_silence(
    known: NameServer, answer: Callable[[dns.message.Message], bytes | None], reason: str, logged: bool
) -> None:
    server = Hostile(answer)
    try:
        with capture_logs() as lines:
            found = await _asked(known, server.port)
    finally:
        server.close()
    assert found.outcome == "away"
    assert reason in (found.reason or "")
    assert bool(lines) is logged
    assert len({line["reason"] for line in lines}) <= 1


async def test_a_resolver_that_says_nothing_is_given_up_for_that_purpose() -> None:
    server = Hostile(lambda _: None)
    settings = AuthoritySettings((f"127.0.0.1:{server.port}",), port=server.port, timeout_seconds=0.1)
    authorities = open_authorities(settings, SystemClock(), secrets.randbits)
    budget = Budget(100)
    try:
        for n in range(20):
            found = await authorities.ask_resolver(Question(f"{n}.acme.test", "TXT"), budget)
            assert found.outcome == "away"
        assert "does not answer" in (found.reason or "")
        assert (len(server.asked), budget.spent) == (3, 3)
        await authorities.ask_resolver(Question("x.acme.test", "TXT"), Budget(9))
        assert len(server.asked) == 4
    finally:
        await authorities.close()
        server.close()


async def test_one_lost_question_gives_nobody_up() -> None:
    lost = iter([True, True, False, True, True, False])
    server = Hostile(lambda query: None if next(lost) else _reply(query, 'TXT "x"'))
    settings = AuthoritySettings((f"127.0.0.1:{server.port}",), port=server.port, timeout_seconds=1.0)
    authorities = open_authorities(settings, SystemClock(), secrets.randbits)
    budget = Budget(100)
    try:
        outcomes = [
            (await authorities.ask_resolver(Question(f"{n}.acme.test", "TXT"), budget)).outcome
            for n in range(6)
        ]
    finally:
        await authorities.close()
        server.close()
    assert outcomes == ["away", "away", "found"] * 2


async def test_a_zones_server_that_says_nothing_is_given_up_too(known: NameServer) -> None:
    server = Hostile(lambda _: None)
    settings = AuthoritySettings((f"127.0.0.1:{known.port}",), 10_000, port=server.port, timeout_seconds=0.1)
    authorities = open_authorities(settings, SystemClock(), secrets.randbits)
    budget = Budget(100)
    try:
        for n in range(10):
            question = Question(f"{n}.acme.test", "TXT")
            found = await authorities.ask(question, "acme.test", budget)
            assert found.outcome == "away"
    finally:
        await authorities.close()
        server.close()
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "fd00::1",
        "fe80::1",
    ],
)
async def test_a_strangers_zone_leads_to_no_address_of_our_own_network(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    server = NameServer({("acme.test", "NS"): ["ns.acme.test."], ("ns.acme.test", kind): [address]})
    settings = AuthoritySettings((f"127.0.0.1:{server.port}",), timeout_seconds=0.2)
    authorities = open_authorities(settings, SystemClock(), secrets.randbits)
    try:
        found = await authorities.ask(Question("x.acme.test", "TXT"), "acme.test", Budget(9))
    finally:
        await authorities.close()
        server.close()
    assert (found.outcome, found.reason) == ("away", "their addresses are not known")


def test_a_public_address_may_be_asked_and_a_private_one_if_the_operator_says_so() -> None:
    exchange, pace = Exchange(secrets.randbits, in_flight=1), Pace(1, SystemClock())
    strict = Authorities(exchange, pace, (), SystemClock())
    lenient = Authorities(exchange, pace, (), SystemClock(), allow_private=True)
    assert [strict._may_ask(one) for one in ("8.8.8.8", "2606:4700::1111", "10.0.0.1")] == [True, True, False]
    assert lenient._may_ask("10.0.0.1")


class Twice(NameServer):
    """Answers the first question of a client by `first`, those after it by `then`."""

    def __init__(self, first: Callable[[bytes], bytes], then: Callable[[bytes], bytes] | None = None) -> None:
        self._ways = [first]
        self._then = then or super()._answer
        super().__init__({("x.acme.test", "TXT"): ['"over TCP"']})

    def _answer(self, octets: bytes) -> bytes:
        return (self._ways.pop() if self._ways else self._then)(octets)


async def test_an_answer_in_the_wrong_case_is_asked_for_again_over_tcp(known: NameServer) -> None:
    zone = Twice(lambda octets: octets[:2] + b"\x84" + octets[3:12] + octets[12:].lower())
    try:
        found = await _asked(known, zone.port)
    finally:
        zone.close()
    assert found.answers == ("over TCP",)


async def test_an_answer_of_64_kilobytes_is_not_read(known: NameServer) -> None:
    zone = Twice(lambda octets: octets[:2] + b"\x86" + octets[3:], lambda octets: octets + bytes(65_000))
    try:
        with capture_logs() as lines:
            found = await _asked(known, zone.port)
    finally:
        zone.close()
    assert "octets" in (found.reason or "")
    assert [line["event"] for line in lines] == ["dns_answer_refused"]


async def test_a_server_that_is_asked_too_much_is_left_alone(known: NameServer) -> None:
    server = Hostile(lambda query: _reply(query, 'TXT "x"'))
    settings = AuthoritySettings((f"127.0.0.1:{known.port}",), queries_per_second=1, port=server.port)
    authorities = open_authorities(settings, ManualClock(), secrets.randbits)
    try:
        pace = authorities._pace
        for _ in range(6):
            pace._full_at["127.0.0.1"] = pace._full_at.get("127.0.0.1", 1_000.0) + 1.0
        with pytest.raises(Busy) as refusal:
            await authorities.ask(Question("x.acme.test", "TXT"), "acme.test", Budget(20))
    finally:
        await authorities.close()
        server.close()
    assert refusal.value.seconds > 5
    assert server.asked == []


async def test_questions_at_once_keep_the_pace(known: NameServer) -> None:
    server = Hostile(lambda query: _reply(query, 'TXT "x"'))
    settings = AuthoritySettings((f"127.0.0.1:{known.port}",), queries_per_second=100, port=server.port)
    clock = SystemClock()
    authorities = open_authorities(settings, clock, secrets.randbits)
    started = clock.monotonic()
    try:
        asked = [
            authorities.ask(Question(f"{n}.acme.test", "TXT"), "acme.test", Budget(9)) for n in range(80)
        ]
        found = await asyncio.gather(*asked)
    finally:
        await authorities.close()
        server.close()
    assert {one.answers for one in found} == {("x",)}
    # Half a second's worth at once, the rest at its pace: never faster, however slow the machine.
    assert clock.monotonic() - started >= 0.29
