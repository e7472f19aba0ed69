"""Events leave a running gateway: to a receiver of webhooks, and as mail to a tenant's contacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from gateway.app.desk import OpenedDesk, delivery_service
from gateway.control.records import Actor
from gateway.system.config import load
from tests.support.gateway import Gateway, plain_message, wait_until
from tests.support.receiver import Receiver

TESTER = Actor("cli", "tester")
CONTACT = "ops@customer.example"
SETTINGS = """
[webhooks]
allow_private = true
[notices]
upgrade_url = "https://plans.example/"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway") / "var", settings=SETTINGS).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver(200)
    yield running
    running.close()


@contextmanager
def desk_of(gateway: Gateway) -> Iterator[OpenedDesk]:
    desk = OpenedDesk(load(Path(gateway.config), {}))
    try:
        yield desk
    finally:
        desk.close()


def events_of(receiver: Receiver, message_id: str) -> list[str]:
    """The types of a message's events, in the order in which they came."""
    documents = [json.loads(one.body) for one in receiver.received]
    return [one["type"] for one in documents if one["subject"] == f"message/{message_id}"]


LIFE = ["gatepost.message.accepted", "gatepost.message.delivered"]


def test_a_messages_life_is_told_in_order_and_signed(gateway: Gateway, receiver: Receiver) -> None:
    with desk_of(gateway) as desk:
        hook, secret = desk.services.webhooks.create(
            TESTER, url=receiver.url(), tenant=gateway.tenant_id, events=["message.*"]
        )
        message_id = gateway.send(plain_message(gateway.address))
        wait_until(lambda: events_of(receiver, message_id) == LIFE, what="both events")
        for request in receiver.received:
            assert Webhook(secret).verify(request.body, dict(request.fields))
        log = delivery_service(desk.ground, desk.services)
        wait_until(lambda: len(log.deliveries(TESTER, hook.id, state="delivered").items) >= 2)
        assert {one.last_status for one in log.deliveries(TESTER, hook.id).items} == {200}
        desk.services.webhooks.delete(TESTER, hook.id)


def test_nothing_is_lost_when_everything_is_killed(gateway: Gateway, receiver: Receiver) -> None:
    with desk_of(gateway) as desk:
        hook, _ = desk.services.webhooks.create(
            TESTER, url=receiver.url(), tenant=gateway.tenant_id, events=["message.*"]
        )
        receiver.open.clear()
        before = [gateway.send(plain_message(gateway.address)) for _ in range(3)]
        wait_until(lambda: receiver.received, what="a delivery on its way")
        gateway.kill()
        receiver.open.set()
    gateway.start()
    after = gateway.send(plain_message(gateway.address))
    for message_id in (*before, after):
        # What was on its way when everything died comes again; nothing is missing, nothing out of order.
        wait_until(
            lambda message_id=message_id: list(dict.fromkeys(events_of(receiver, message_id))) == LIFE,
            seconds=30,
            what=f"the events of {message_id}",
        )
    with desk_of(gateway) as desk:
        desk.services.webhooks.delete(TESTER, hook.id)


def test_a_contact_is_told_that_a_shard_is_paused(gateway: Gateway) -> None:
    with desk_of(gateway) as desk:
        desk.services.tenants.update(TESTER, gateway.tenant_id, contacts=[CONTACT])
        shard = desk.services.tenants.show(TESTER, gateway.tenant_id).shards[0]
        desk.services.shards.pause(TESTER, shard)
        try:
            captured = Path(gateway.state["captured"])

            def notices() -> list[bytes]:
                found = [path.read_bytes() for path in captured.glob("*.eml")]
                return [one for one in found if f"X-Gatepost-Envelope-To: {CONTACT}".encode() in one]

            [notice] = wait_until(notices, seconds=30, what="the notice")
        finally:
            desk.services.shards.resume(TESTER, shard)
    assert b"X-Gatepost-Envelope-From: \r\n" in notice or b"X-Gatepost-Envelope-From: <>" in notice
    assert b"Auto-Submitted: auto-generated" in notice and b"DKIM-Signature:" in notice
    assert b"Sending through" in notice
