"""Which hosts get mail for a domain, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.records import SourceRecord
from gateway.outgoing.relay.hosts import ADDRESSES_A_TRY, Hosts, NoWay
from gateway.outgoing.relay.routes import MxRoute, Route, SmarthostRoute
from gateway.system.clock import ManualClock
from gateway.system.dns import DnsAway, MxHost, NoSuchName, Resolver

MX = MxRoute()


def source(**changes: Any) -> SourceRecord:
    values: dict[str, Any] = {
        "id": "s",
        "ipv4": "192.0.2.9",
        "ipv6": None,
        "helo": "Out.gate.example",
        "pool": "p",
    }
    return SourceRecord(**(values | changes))


async def find(
    records: dict[tuple[str, str], Any],
    domain: str = "example.net",
    route: Route = MX,
    at: Any = None,
    allow_private: bool = True,
) -> list[tuple[str, str]]:
    """`allow_private` for the addresses of documentation, which are no public ones."""

    async def query(name: str, kind: Any) -> tuple[tuple[object, ...], float]:
        if (name, kind) not in records:
            if any(known == name for known, _ in records):
                return (), 60.0
            raise NoSuchName(name)
        if records[name, kind] is None:
            raise DnsAway(name, kind, "SERVFAIL")
        return tuple(records[name, kind]), 60.0

    hosts = Hosts(
        Resolver(query, ManualClock()),
        own_names=frozenset({"gate.example"}),
        port=2525,
        allow_private=allow_private,
        shuffle=lambda names: names.reverse(),
    )
    assert not isinstance(route, type(None))
    found = await hosts.of(route, domain, at)  # type: ignore[arg-type]
    return [(endpoint.host, endpoint.address) for endpoint in found]


async def refusal(records: dict[tuple[str, str], Any], **more: Any) -> str:
    with pytest.raises(NoWay) as refused:
        await find(records, **more)
    return refused.value.reply.text


async def test_preference_decides_and_equals_are_shuffled() -> None:
    records = {
        ("example.net", "MX"): [MxHost(20, "c.x"), MxHost(10, "a.x"), MxHost(10, "b.x")],
        ("a.x", "A"): ["192.0.2.1"],
        ("b.x", "A"): ["192.0.2.2"],
        ("c.x", "A"): ["192.0.2.3"],
    }
    assert await find(records) == [("b.x", "192.0.2.2"), ("a.x", "192.0.2.1"), ("c.x", "192.0.2.3")]


async def test_without_mx_the_domain_itself_gets_it() -> None:
    assert await find({("example.net", "A"): ["192.0.2.1"]}) == [("example.net", "192.0.2.1")]


async def test_from_our_own_preference_on_nobody_gets_it() -> None:
    """RFC 5321 §5.1."""
    backup = [MxHost(5, "primary.x"), MxHost(10, "gate.example"), MxHost(20, "worse.x")]
    records = {
        ("example.net", "MX"): backup,
        ("primary.x", "A"): ["192.0.2.1"],
        ("worse.x", "A"): ["192.0.2.3"],
    }
    assert await find(records) == [("primary.x", "192.0.2.1")]
    records["example.net", "MX"] = backup[1:]
    assert (await refusal(records)).startswith("554 5.4.6")


async def test_a_try_goes_to_a_bounded_number_of_addresses() -> None:
    records = {("example.net", "A"): [f"192.0.2.{n}" for n in range(1, 50)]}
    assert len(await find(records)) == ADDRESSES_A_TRY


@pytest.mark.parametrize(
    ("records", "reply"),
    [
        ({}, "550 5.1.2"),
        ({("example.net", "MX"): [MxHost(0, "")]}, "556 5.1.10"),
        ({("example.net", "MX"): None}, "451 4.4.3"),
        ({("example.net", "MX"): [MxHost(1, "gone.x")]}, "550 5.4.4"),
        (
            {("example.net", "MX"): [MxHost(1, "gone.x"), MxHost(2, "away.x")], ("away.x", "A"): None},
            "451 4.4.3",
        ),
        ({("example.net", "TXT"): [b""]}, "550 5.4.4"),
    ],
)
async def test_why_there_is_no_way(records: dict[tuple[str, str], Any], reply: str) -> None:
    assert (await refusal(records)).startswith(reply)


async def test_ipv6_only_with_a_name_that_points_back_or_when_forced() -> None:
    both = source(ipv6="2001:db8::9")
    reverse = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    records: dict[tuple[str, str], Any] = {
        ("example.net", "A"): ["192.0.2.1"],
        ("example.net", "AAAA"): ["2001:db8::1"],
    }
    four, six = ("example.net", "192.0.2.1"), ("example.net", "2001:db8::1")
    assert await find(records) == [four]
    assert await find(records, at=source()) == [four]
    assert await find(records, at=both) == [four]
    records[reverse, "PTR"] = ["other.example"]
    assert await find(records, at=both) == [four]
    records[reverse, "PTR"] = ["out.gate.example"]
    assert await find(records, at=both) == [four, six]
    assert await find(records, at=source(ipv4=None, ipv6="2001:db8::9")) == [six]


@pytest.mark.parametrize(
    ("domain", "address"), [("[192.0.2.7]", "192.0.2.7"), ("[IPv6:2001:db8::7]", "2001:db8::7")]
)
async def test_an_address_literal_needs_no_dns(domain: str, address: str) -> None:
    assert await find({}, domain=domain) == [(address, address)]


async def test_a_smarthost_that_cannot_be_found_defers() -> None:
    """It is the operator's mistake, not the recipient's."""
    route = SmarthostRoute("smart.example", 587, "required")
    assert (await refusal({}, route=route)).startswith("451 4.4.4")
    assert (await refusal({("smart.example", "TXT"): [b""]}, route=route)).startswith("451 4.4.4")
    assert (await refusal({("smart.example", "A"): None}, route=route)).startswith("451 4.4.3")
    records = {("smart.example", "A"): ["192.0.2.5"], ("smart.example", "AAAA"): ["2001:db8::5"]}
    assert await find(records, route=route, at=source()) == [("smart.example", "192.0.2.5")]
    literal = SmarthostRoute("2001:db8::5", 25, "opportunistic")
    assert await find({}, route=literal) == [("2001:db8::5", "2001:db8::5")]


PRIVATE = [
    "127.0.0.77", "10.1.2.3", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1",
    "64:ff9b::a01:203",
]  # fmt: skip
ANYWHERE = source(ipv4=None, ipv6="2606:4700::9")


@pytest.mark.parametrize("address", PRIVATE)
async def test_recipients_lead_to_no_network_behind_us(address: str) -> None:
    """Whoever chooses them would connect this machine to it, and read what answers in the bounce."""
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    text = await refusal({}, domain=literal, allow_private=False)
    assert text == f"550 5.1.2 {address} is no public address"
    kind, at = ("AAAA", ANYWHERE) if ":" in address else ("A", None)
    for records in (
        {("example.net", "MX"): [MxHost(1, "mx.x")], ("mx.x", kind): [address]},
        {("example.net", kind): [address]},
    ):
        assert (await refusal(records, at=at, allow_private=False)).startswith(
            "550 5.4.4 no mail exchanger of example.net has a public address"
        )
        assert [found for _, found in await find(records, at=at)] == [address]
    assert await find({}, domain=literal) == [(address, address)]


async def test_of_a_domains_hosts_the_public_ones_are_used() -> None:
    records: dict[tuple[str, str], Any] = {
        ("example.net", "MX"): [MxHost(1, "inside.x"), MxHost(2, "both.x"), MxHost(3, "away.x")],
        ("inside.x", "A"): [f"10.0.0.{n}" for n in range(1, 1 + ADDRESSES_A_TRY)],
        ("both.x", "A"): ["192.168.0.1", "8.8.8.8"],
        ("away.x", "A"): None,
    }
    assert await find(records, allow_private=False) == [("both.x", "8.8.8.8")]
    del records["both.x", "A"]
    # What may still turn out to be public is waited for.
    assert (await refusal(records, allow_private=False)).startswith("451 4.4.3")


async def test_a_public_literal_needs_no_permission_and_a_smarthost_neither() -> None:
    assert await find({}, domain="[8.8.8.8]", allow_private=False) == [("8.8.8.8", "8.8.8.8")]
    for host in ("10.0.0.25", "smart.x"):
        route = SmarthostRoute(host, 25, "opportunistic")
        found = await find({("smart.x", "A"): ["10.0.0.25"]}, route=route, allow_private=False)
        assert found == [(host, "10.0.0.25")]
