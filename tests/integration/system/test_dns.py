"""Look-ups against a real name server, and the cache in front of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.system.clock import ManualClock, SystemClock
from gateway.system.dns import DnsAway, HostsFile, MxHost, NoSuchName, Resolver, ServerQuery
from tests.support.dns import NameServer

RECORDS = {
    ("example.net", "MX"): ["10 mx1.example.net.", "20 MX2.example.net."],
    ("null.example", "MX"): ["0 ."],
    ("mx1.example.net", "A"): ["192.0.2.1", "192.0.2.2"],
    ("mx1.example.net", "AAAA"): ["2001:db8::1"],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["mx1.example.net."],
    ("example.net", "TXT"): ['"v=spf1" " -all"'],
    ("www.example.net", "CNAME"): ["example.net."],
}


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer(dict(RECORDS))
    yield server
    server.close()


def resolver(server: NameServer, hosts: HostsFile | None = None) -> Resolver:
    return Resolver(ServerQuery([f"127.0.0.1:{server.port}"]), SystemClock(), hosts)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_every_kind_of_record_on_both_event_loops(server: NameServer, factory: Any) -> None:
    async def work() -> None:
        dns = resolver(server)
        assert await dns.mx("Example.NET.") == (MxHost(10, "mx1.example.net"), MxHost(20, "mx2.example.net"))
        assert await dns.mx("null.example") == (MxHost(0, ""),)
        assert await dns.mx("mx1.example.net") == ()
        addresses = await dns.addresses("mx1.example.net")
        assert sorted(addresses) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
        assert addresses[2] == "2001:db8::1"
        assert await dns.addresses("mx1.example.net", ipv4=False) == ("2001:db8::1",)
        assert await dns.names_of("192.0.2.1") == ("mx1.example.net",)
        assert await dns.texts("example.net") == (b"v=spf1 -all",)
        assert await dns.alias("www.example.net") == "example.net"
        assert await dns.alias("example.net") is None
        with pytest.raises(NoSuchName):
            await dns.mx("missing.example")
        with pytest.raises(NoSuchName):
            await dns.mx("x" * 80 + ".example")

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())


async def test_a_server_that_does_not_answer_is_away_not_absent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        query = ServerQuery(
            [f"127.0.0.1:{silent.getsockname()[1]}"], timeout_seconds=0.1, lifetime_seconds=0.2
        )
        with pytest.raises(DnsAway):
            await Resolver(query, SystemClock()).mx("example.net")


async def test_without_any_server_the_operator_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.system.dns._resolver", lambda _: None)
    with pytest.raises(DnsAway, match=r"\[dns\] servers"):
        await Resolver(ServerQuery([]), SystemClock()).mx("example.net")


@pytest.mark.parametrize("text", ["nonsense", "127.0.0.1:port", "example.net"])
def test_a_server_is_an_address(text: str) -> None:
    with pytest.raises(ValueError):
        ServerQuery([text])


class Script:
    """A query that counts, and answers what it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Any = ((MxHost(1, "mx.example"),), 60.0)
        self.gate: asyncio.Event | None = None

    async def __call__(self, name: str, kind: Any) -> Any:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_answers_are_kept_for_their_time_and_failures_for_a_moment() -> None:
    clock, script = ManualClock(), Script()
    dns = Resolver(script, clock)
    await dns.mx("example.net")
    clock.advance(59)
    await dns.mx("EXAMPLE.net")
    assert script.asked == 1
    clock.advance(2)
    await dns.mx("example.net")
    assert script.asked == 2
    script.answer = DnsAway("a.example", "MX", "SERVFAIL")
    for _ in range(2):
        with pytest.raises(DnsAway):
            await dns.mx("a.example")
    assert script.asked == 3
    clock.advance(6)
    script.answer = NoSuchName("a.example")
    for _ in range(2):
        with pytest.raises(NoSuchName):
            await dns.mx("a.example")
    assert script.asked == 4


async def test_equal_questions_at_one_time_are_one_query_and_survive_who_gives_up() -> None:
    script = Script()
    script.gate = asyncio.Event()
    dns = Resolver(script, ManualClock())
    first, second = (asyncio.ensure_future(dns.mx("example.net")) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    script.gate.set()
    assert await second == (MxHost(1, "mx.example"),)
    assert script.asked == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_the_cache_is_bounded() -> None:
    script = Script()
    dns = Resolver(script, ManualClock(), capacity=10)
    for number in range(100):
        await dns.mx(f"{number}.example")
    assert len(dns._cache) == 10


async def test_the_hosts_file_comes_first_and_is_read_again(server: NameServer, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost # me\n::1 localhost\nbad line\n192.0.2.9 mx1.example.net alias\n")
    clock = ManualClock()
    dns = Resolver(ServerQuery([f"127.0.0.1:{server.port}"]), clock, HostsFile(path))
    assert await dns.addresses("localhost") == ("127.0.0.1", "::1")
    assert await dns.addresses("LOCALHOST.", ipv6=False) == ("127.0.0.1",)
    assert await dns.addresses("mx1.example.net") == ("192.0.2.9",)
    path.write_text("127.0.0.1 localhost\n")
    clock.advance(11)
    assert "192.0.2.1" in await dns.addresses("mx1.example.net")
    path.unlink()
    clock.advance(11)
    with pytest.raises(NoSuchName):
        await dns.addresses("localhost")


async def test_one_family_that_fails_does_not_hide_the_other() -> None:
    async def query(name: str, kind: Any) -> tuple[tuple[object, ...], float]:
        if kind == "A":
            return ("192.0.2.1",), 60.0
        raise DnsAway(name, kind, "SERVFAIL")

    dns = Resolver(query, ManualClock())
    assert await dns.addresses("mx.example") == ("192.0.2.1",)
    with pytest.raises(DnsAway):
        await dns.addresses("mx.example", ipv4=False)
