"""Gates: how many connections, when not to try, what is not to be claimed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.shards.route import Credentials
from gateway.outgoing.relay.crowd import MOST_WAITING, Crowd
from gateway.outgoing.relay.gates import Entry, Gates, Line, gate_key, split
from gateway.outgoing.relay.replies import PeerReply
from gateway.outgoing.relay.routes import CaptureRoute, MxRoute, RouteError, SmarthostRoute, route_of
from gateway.system.sharedmemory import SharedSlots
from tests.integration.outgoing.relay.parts import recipient

KEY = ("shard-1", "example.net")
REPLY = PeerReply(451, b"4.4.1 no")


def lines(count: int) -> list[Line]:
    return [Line(None, None) for _ in range(count)]  # type: ignore[arg-type]


def gates(most: int = 8, processes: int = 1) -> Gates:
    return Gates(SharedSlots(64, processes), 0, processes, most)


def test_one_try_at_a_time_until_a_connection_stands() -> None:
    book = gates()
    gate = book.get(KEY)
    [first, *others] = lines(8)
    assert gate.may_open(0)
    assert book.take_slot(gate, first)
    assert not gate.may_open(0)
    gate.opened()
    for line in others:
        assert gate.may_open(0)
        assert book.take_slot(gate, line)
    assert not gate.may_open(0)


def test_each_process_leaves_a_connection_for_every_other() -> None:
    book = gates(most=8, processes=3)
    gate = book.get(KEY)
    gate.opened()
    taken = 0
    for line in lines(8):
        if gate.may_open(0) and book.take_slot(gate, line):
            taken += 1
    assert taken == 6


def test_an_unreachable_destination_is_left_alone_longer_each_time() -> None:
    gate = gates().get(KEY)
    downs = []
    now = 0.0
    for _ in range(6):
        gate.failed(REPLY, now)
        assert gate.is_down(now)
        start = now
        while gate.is_down(now):
            now += 1
        downs.append(now - start)
    assert downs == [30, 60, 120, 240, 300, 300]
    gate.opened()
    gate.failed(REPLY, now)
    assert not gate.is_down(now + 30)


def test_a_host_that_refuses_more_keeps_what_it_has_for_a_minute() -> None:
    book = gates()
    gate = book.get(KEY)
    [first, second, third] = lines(3)
    book.take_slot(gate, first)
    assert not gate.refused_more(0)
    gate.opened()
    book.take_slot(gate, second)
    book.take_slot(gate, third)
    assert gate.refused_more(0)
    book.give_slot(gate, third)
    assert not gate.may_open(59)
    assert gate.may_open(61)


def test_gates_are_forgotten_when_nothing_need_be_known() -> None:
    book = gates()
    gate = book.get(KEY)
    gate.failed(REPLY, 0)
    book.forget_unused(1)
    assert book.get(KEY) is gate
    book.forget_unused(100)
    assert book.get(KEY) is not gate


def test_where_deliveries_queue() -> None:
    assert gate_key("s", MxRoute(), "example.net") == ("s", "example.net")
    assert gate_key("s", SmarthostRoute("relay.x", 587, "required"), "example.net") == ("s", "relay.x:587")
    assert gate_key("s", CaptureRoute(), "example.net") == ("", "capture:")


def entry(tenant: str, gate: tuple[str, str]) -> Entry:
    from types import SimpleNamespace

    delivery: Any = SimpleNamespace(message=SimpleNamespace(tenant_id=tenant))
    return Entry(delivery, "default", gate)


def test_a_standing_gate_gets_few_places_and_a_moving_one_many() -> None:
    crowd = Crowd()
    for _ in range(16):
        crowd.joined(entry("t", KEY))
        crowd.joined(entry("t", ("shard-2", "relay.x:25")))
        crowd.joined(entry("t", ("", "capture:")))
    assert crowd.claimable(set()).full_lanes == {KEY, ("shard-2", "")}
    assert crowd.claimable({KEY}).full_lanes == {("shard-2", "")}
    for _ in range(16):
        crowd.left(entry("t", KEY))
    assert crowd.claimable(set()).full_lanes == {("shard-2", "")}


def test_a_tenant_gets_at_most_what_is_left_to_others() -> None:
    crowd = Crowd()
    for number in range(MOST_WAITING // 2):
        crowd.joined(entry("greedy", ("s", f"{number}.example")))
    crowd.joined(entry("modest", ("m", "example.net")))
    claimable = crowd.claimable(set())
    assert claimable.full_tenants == {"greedy"}
    assert claimable.rows == MOST_WAITING // 2 - 1


def test_deliveries_are_split_by_number_and_by_who_may_get_them() -> None:
    from gateway.outgoing.queue import Delivery
    from tests.unit.outgoing.relay.test_verdicts import message

    people = tuple(recipient(n, f"r{n}@x.example") for n in range(1, 251))
    source: Any = None
    whole = Delivery(message(), "s", "x.example", people, source)
    assert [len(part.recipients) for part in split(whole, lambda *_: False)] == [100, 100, 50]
    staging = Delivery(message(environment="staging"), "s", "x.example", people[:3], source)
    parts = split(staging, lambda address, _: address == "r2@x.example")
    assert [[one.n for one in part.recipients] for part in parts] == [[2], [1, 3]]
    [same] = split(staging, lambda *_: True)
    assert same is staging


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("mx", MxRoute()),
        ("smtp://relay.example:2525", SmarthostRoute("relay.example", 2525, "opportunistic")),
        ("smtp://relay.example?tls=required", SmarthostRoute("relay.example", 25, "required")),
        ("smtps://relay.example", SmarthostRoute("relay.example", 465, "implicit")),
        ("capture:", CaptureRoute()),
    ],
)
def test_routes_as_the_relay_takes_them(url: str, route: object) -> None:
    assert route_of(url) == route


def test_credentials_come_apart_from_the_url_and_are_never_shown() -> None:
    route = route_of("smtps://relay.example", Credentials("me", "Very-secret-1"))
    assert isinstance(route, SmarthostRoute)
    assert route.credentials is not None
    assert "Very-secret-1" not in repr(route)


@pytest.mark.parametrize("url", ["local:", "ftp://x", "smtp://", "nonsense", "capture:relative"])
def test_what_is_no_route_says_what_to_do(url: str) -> None:
    with pytest.raises(RouteError):
        route_of(url)
