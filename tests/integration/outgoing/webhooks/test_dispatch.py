"""From events to deliveries: to whom, once each, through crashes and on two nodes."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from gateway.outgoing.follower import Overtaken, feed_reader
from gateway.outgoing.webhooks.store import KEPT_SECONDS, due, purge, waiting_webhooks
from gateway.outgoing.webhooks.tables import delivery
from tests.integration.outgoing.webhooks.world import SOURCE, World
from tests.support.control import OPERATOR

URL = "http://127.0.0.1:9/"


def test_each_webhook_gets_the_events_it_wants(world: World) -> None:
    mine, _ = world.hook(URL)
    everything, _ = world.hook(URL, tenant=None, events=["*"])
    others, _ = world.hook(URL, tenant="other")
    accounts, _ = world.hook(URL, events=["account.*"])
    world.happen()
    world.happen(tenant_id=world.other)
    world.dispatch()
    assert [row.tenant_id for row in world.rows(webhook_id=mine)] == [world.acme]
    assert [row.tenant_id for row in world.rows(webhook_id=others)] == [world.other]
    assert world.rows(webhook_id=accounts) == []
    quotas = [row for row in world.rows(webhook_id=everything) if "quota" in row.event_type]
    assert [row.tenant_id for row in quotas] == [world.acme, world.other]


def test_what_is_sent_is_a_cloudevent(world: World) -> None:
    world.hook(URL)
    world.happen("tenant/x", limit="messages_per_day")
    world.dispatch()
    [row] = world.rows()
    event = json.loads(row.body)
    assert event["specversion"] == "1.0" and event["source"] == SOURCE
    assert (event["id"], event["type"], event["subject"]) == (
        row.event_id,
        "gatepost.quota.reached",
        "tenant/x",
    )
    assert event["data"] == {"percent": 90, "limit": "messages_per_day"}
    assert event["tenantid"] == world.acme


def test_environment_and_workspace_narrow_it(world: World) -> None:
    staging, _ = world.hook(URL, environment="staging")
    workspace = world.services.workspaces.create(OPERATOR, "sales", tenant="acme")
    sales, _ = world.hook(URL, workspace="sales")
    world.happen(environment="staging")
    world.happen(environment="production", workspace_id=workspace.id)
    world.happen()
    world.dispatch()
    assert len(world.rows(webhook_id=staging)) == len(world.rows(webhook_id=sales)) == 1


def test_what_happened_before_the_webhook_is_not_its_business(world: World) -> None:
    world.happen()
    world.hook(URL)
    assert world.dispatch() == 0


def test_events_while_nothing_ran_are_not_lost(world: World) -> None:
    world.hook(URL)
    for _ in range(3):
        world.happen()
    assert world.dispatch() == 3
    world.happen()
    world.dispatcher = world.make_dispatcher()
    assert world.dispatch() == 1


def test_a_crash_before_the_commit_repeats_the_step_and_one_after_it_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.hook(URL)
    world.happen()

    def fail(*arguments: object) -> None:
        raise RuntimeError("power failure")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.outgoing.webhooks.store.add", fail)
        with pytest.raises(RuntimeError):
            world.dispatch()
    assert world.rows() == []
    # The same dispatcher goes on, and so does one of a fresh process.
    assert world.dispatch() == 1
    world.dispatcher = world.make_dispatcher()
    assert world.dispatch() == 0
    assert len(world.rows()) == 1


def test_two_nodes_do_not_write_the_same_event_twice(world: World) -> None:
    world.hook(URL)
    world.dispatch()
    one, two = world.make_dispatcher(), world.make_dispatcher()
    assert one.step()[0] == two.step()[0] == 0
    world.happen()
    assert one.step()[0] == 1
    with pytest.raises(Overtaken):
        two.step()
    assert two.step()[0] == 0
    assert len(world.rows()) == 1


def test_events_of_a_restored_database_are_sent_although_their_ids_come_again(world: World) -> None:
    world.hook(URL)
    world.happen()
    world.dispatch()
    with world.location.write() as connection:
        connection.execute(sa.update(delivery).values(event_id="location:default-2"))
    world.happen()
    assert world.dispatch() == 1


def test_a_place_is_not_written_where_nothing_happened(world: World) -> None:
    def changed_at() -> float:
        with world.location.read() as connection:
            return float(connection.scalar(sa.select(feed_reader.c.changed_at)) or 0)

    world.dispatch()
    first = changed_at()
    world.clock.advance(600)
    world.dispatch()
    assert changed_at() == first
    world.happen()
    world.dispatch()
    assert changed_at() > first


def test_a_disabled_webhooks_events_are_kept_to_be_replayed(world: World) -> None:
    hook, _ = world.hook(URL)
    world.services.webhooks.disable(hook, "gone")
    world.happen()
    world.dispatch()
    assert world.states() == ["skipped"]


def test_later_events_of_a_subject_wait_for_earlier_ones(world: World) -> None:
    hook, _ = world.hook(URL)
    for subject in ("message/1", "message/1", "message/2"):
        world.happen(subject)
    world.dispatch()
    with world.location.read() as connection:
        ready = due(connection, hook, world.clock.now(), 10)
    assert [one.id for one in ready] == [row.id for row in world.rows()][::2]


def test_webhooks_with_something_to_send_are_found(world: World) -> None:
    hooks = sorted(world.hook(URL)[0] for _ in range(3))
    with world.location.read() as connection:
        assert waiting_webhooks(connection) == []
    world.happen()
    world.dispatch()
    with world.location.read() as connection:
        assert waiting_webhooks(connection) == hooks


def test_deliveries_are_kept_for_fourteen_days(world: World) -> None:
    world.hook(URL)
    world.happen()
    world.dispatch()
    world.clock.advance(KEPT_SECONDS - 60)
    world.happen()
    world.dispatch()
    with world.location.write() as connection:
        assert purge(connection, world.clock.now()) == 0
    world.clock.advance(120)
    with world.location.write() as connection:
        assert purge(connection, world.clock.now()) == 1
    assert len(world.rows()) == 1
