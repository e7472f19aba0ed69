"""The whole work on one node of all, what people see of it, and sending again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.control.errors import Conflict, Invalid, NotFound
from tests.integration.outgoing.webhooks.world import World, until
from tests.support.control import OPERATOR, limited
from tests.support.receiver import Receiver

Receive = Callable[..., Receiver]


async def test_events_reach_the_receiver_and_old_deliveries_go(world: World, receive: Receive) -> None:
    receiver = receive()
    world.hook(receiver.url())
    world.happen()
    world.dispatch()
    await world.send()
    world.clock.advance(14 * 86_400)
    stop = asyncio.Event()
    working = asyncio.create_task(world.work().run(stop))
    await until(lambda: world.rows() == [])
    world.happen()
    await until(lambda: len(receiver.received) == 2)
    await until(lambda: world.states() == ["delivered"])
    stop.set()
    await working


async def test_one_node_works_and_another_takes_over(world: World, receive: Receive) -> None:
    receiver = receive()
    world.hook(receiver.url())
    stops = [asyncio.Event(), asyncio.Event()]
    works = [asyncio.create_task(world.work().run(stop)) for stop in stops]
    for number in range(5):
        world.happen()
        await until(lambda number=number: len(receiver.received) > number)
    # Whichever of the two it is that works: it ends, and the other begins.
    stops[0].set()
    await works[0]
    world.happen()
    await until(lambda: world.states() == ["delivered"] * 6)
    stops[1].set()
    await works[1]
    assert len(set(receiver.events)) == len(receiver.events) == 6


async def test_deliveries_are_listed_newest_first(world: World, receive: Receive) -> None:
    hook, _ = world.hook(receive(204, 500).url())
    for step in range(3):
        world.happen("quota/same", step=step)
    world.dispatch()
    await world.send()
    page = world.deliveries.deliveries(OPERATOR, hook, limit=2)
    assert [(one.state, one.attempts, one.last_status) for one in page.items] == [
        ("pending", 0, None),
        ("pending", 1, 500),
    ]
    rest = world.deliveries.deliveries(OPERATOR, hook, limit=2, cursor=page.cursor)
    assert [(one.state, one.event) for one in rest.items] == [("delivered", "gatepost.quota.reached")]
    assert rest.cursor is None
    failing = world.deliveries.deliveries(OPERATOR, hook, state="pending").items
    assert len(failing) == 2 and failing[1].next_attempt_at is not None
    for bad in ({"state": "lost"}, {"limit": 0}, {"cursor": "x"}):
        with pytest.raises(Invalid):
            world.deliveries.deliveries(OPERATOR, hook, **bad)


async def test_a_replay_sends_again_in_order_what_happened_since(world: World, receive: Receive) -> None:
    receiver = receive()
    hook, _ = world.hook(receiver.url())
    for step in range(4):
        world.happen("quota/same", step=step)
    world.dispatch()
    await world.send()
    rows = world.rows()
    count = world.deliveries.replay(OPERATOR, hook, since=rows[1].event_at, until=rows[3].event_at)
    assert count == 2
    await world.send()
    assert receiver.events[4:] == [row.event_id for row in rows[1:3]]
    with world.location.read() as connection:
        operations = connection.exec_driver_sql("SELECT operation FROM audit_entries").scalars().all()
    assert operations == ["webhook.replay"]


async def test_a_ping_arrives_whatever_the_webhook_asked_for(world: World, receive: Receive) -> None:
    receiver = receive()
    hook, _ = world.hook(receiver.url(), events=["account.*"])
    sent = world.deliveries.ping(OPERATOR, hook)
    await world.send()
    assert receiver.events == [sent.event_id]
    [row] = world.rows()
    assert (row.state, row.event_type) == ("delivered", "gatepost.webhook.ping")


async def test_a_receiver_that_comes_back_gets_what_it_missed(world: World, receive: Receive) -> None:
    receiver = receive(410, 204)
    hook, _ = world.hook(receiver.url())
    for step in range(3):
        world.happen("quota/same", step=step)
    world.dispatch()
    await world.send()
    world.happen("quota/same", step=3)
    world.dispatch()
    with pytest.raises(Conflict, match="resume"):
        world.deliveries.replay(OPERATOR, hook, since=0)
    world.services.webhooks.resume(OPERATOR, hook)
    assert world.deliveries.replay(OPERATOR, hook, since=0) == 4
    await world.send()
    assert receiver.events[1:] == [row.event_id for row in world.rows()]
    assert world.states() == ["delivered"] * 4


def test_another_tenant_sees_and_replays_nothing(world: World) -> None:
    hook, _ = world.hook("http://127.0.0.1:9/")
    world.happen()
    world.dispatch()
    for call in (world.deliveries.deliveries, lambda *one: world.deliveries.replay(*one, since=0)):
        with pytest.raises(NotFound):
            call(limited(world.other), hook)
    assert len(world.deliveries.deliveries(limited(world.acme), hook).items) == 1
