"""Deliveries to real receivers: signed, tried again, given up, and never to where they must not go."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.outgoing.webhooks.schedule import STEPS_SECONDS
from gateway.outgoing.webhooks.sender import Sender
from gateway.outgoing.webhooks.slots import Limits, Slots
from gateway.system.database import Database, DatabaseAway
from gateway.system.tls import make_certificates
from gateway.system.webclient import WebClient
from tests.integration.outgoing.webhooks.world import World, until
from tests.support.control import OPERATOR
from tests.support.receiver import Received, Receiver

Receive = Callable[..., Receiver]


def verified(secret: str, request: Received) -> Any:
    return Webhook(secret).verify(request.body, dict(request.fields))


async def test_a_receiver_gets_a_signed_cloudevent(world: World, receive: Receive) -> None:
    receiver = receive()
    _, secret = world.hook(receiver.url("/in?token=1"))
    world.happen("tenant/acme")
    world.dispatch()
    await world.send()
    [request], [row] = receiver.received, world.rows()
    assert request.path == "/in?token=1"
    assert request.fields["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert verified(secret, request)["subject"] == "tenant/acme"
    assert request.fields["webhook-id"] == row.event_id == json.loads(request.body)["id"]
    assert (row.state, row.attempts, row.last_status, row.next_attempt_at) == ("delivered", 1, 204, None)


async def test_both_secrets_sign_for_a_day_after_a_rotation(world: World, receive: Receive) -> None:
    receiver = receive()
    hook, old = world.hook(receiver.url())
    _, new = world.services.webhooks.rotate_secret(OPERATOR, hook)
    world.happen()
    world.dispatch()
    await world.send()
    for secret in (old, new):
        assert verified(secret, receiver.received[0])
    world.clock.advance(86_401)
    world.happen()
    world.dispatch()
    await world.send()
    [signature] = receiver.received[1].fields["webhook-signature"].split()
    assert signature not in receiver.received[0].fields["webhook-signature"]
    with pytest.raises(WebhookVerificationError):
        verified(old, receiver.received[1])


async def test_a_failure_is_tried_again_after_a_minute(world: World, receive: Receive) -> None:
    receiver = receive(500, 200)
    world.hook(receiver.url())
    world.happen()
    world.dispatch()
    await world.send()
    [row] = world.rows()
    assert (row.state, row.attempts, row.last_status) == ("pending", 1, 500)
    assert row.next_attempt_at - world.clock.now() == pytest.approx(60, abs=1)
    await world.send()
    assert len(receiver.received) == 1
    world.clock.advance(61)
    await world.send()
    assert world.states() == ["delivered"]
    # The same id, so that a receiver knows it again, and a signature of its own time.
    assert receiver.events == [row.event_id] * 2
    first, second = (int(one.fields["webhook-timestamp"]) for one in receiver.received)
    assert second - first >= 60


async def test_after_the_last_wait_it_is_given_up(world: World, receive: Receive) -> None:
    receiver = receive(503)
    world.hook(receiver.url())
    world.happen()
    world.dispatch()
    for wait in STEPS_SECONDS:
        await world.send()
        assert world.states() == ["pending"]
        world.clock.advance(wait + 1)
    await world.send()
    [row] = world.rows()
    assert (row.state, row.attempts, row.last_status, row.next_attempt_at) == ("failed", 12, 503, None)
    assert len(receiver.received) == 12


async def test_gone_disables_the_webhook(world: World, receive: Receive) -> None:
    receiver = receive(410)
    hook, _ = world.hook(receiver.url())
    for _ in range(3):
        world.happen("quota/same")
    world.dispatch()
    await world.send()
    shown = world.services.webhooks.show(OPERATOR, hook)
    assert (shown.state, shown.state_reason) == ("disabled", "the receiver answered 410 Gone")
    assert world.states() == ["failed", "skipped", "skipped"]
    assert len(receiver.received) == 1
    [entry] = world.services.audit.list(OPERATOR, operation="webhook.disable")
    assert (entry.actor_kind, entry.actor_id) == ("system", "webhooks")


async def test_a_redirect_is_not_followed(world: World, receive: Receive) -> None:
    target, receiver = receive(), receive(302)
    receiver.fields["Location"] = target.url()
    world.hook(receiver.url())
    world.happen()
    world.dispatch()
    await world.send()
    assert world.rows()[0].last_status == 302 and world.states() == ["pending"]
    assert target.received == []


async def test_a_receiver_that_does_not_answer_is_tried_again(world: World, receive: Receive) -> None:
    receiver = receive()
    receiver.open.clear()
    world.client = WebClient(_nobody, allow_private=True, timeout_seconds=0.2)
    world.hook(receiver.url())
    world.happen()
    world.dispatch()
    await world.send()
    [row] = world.rows()
    assert (row.state, row.attempts, row.last_status) == ("pending", 1, None)
    assert row.last_error == "no answer within 0.2 s"


async def test_a_receiver_that_is_not_there_is_tried_again(world: World, receive: Receive) -> None:
    world.hook("http://127.0.0.1:9/")
    world.happen()
    world.dispatch()
    await world.send()
    assert world.states() == ["pending"] and "refused" in world.rows()[0].last_error


async def test_a_slow_receiver_does_not_delay_others(world: World, receive: Receive) -> None:
    tarpit, brisk = receive(), receive()
    tarpit.open.clear()
    world.hook(tarpit.url())
    world.hook(brisk.url(), tenant="other")
    for _ in range(20):
        world.happen()
    for _ in range(20):
        world.happen(tenant_id=world.other)
    world.dispatch()
    with ThreadPoolExecutor(2) as threads:
        sender = world.sender(threads, Slots(Limits(total=6, troubled=2, tenant=4, webhook=2)))
        async with _turning(sender):
            await until(lambda: len(brisk.received) == 20)
            assert len(tarpit.received) <= 2
            tarpit.open.set()
            await until(lambda: world.states().count("delivered") >= 38)


async def test_order_holds_for_a_subject_and_others_go_on(world: World, receive: Receive) -> None:
    receiver = receive(500, 200)
    world.hook(receiver.url())
    world.happen("message/1", step=1)
    world.dispatch()
    await world.send()
    world.happen("message/1", step=2)
    world.happen("message/2", step=1)
    world.dispatch()
    await world.send()
    assert world.states() == ["pending", "pending", "delivered"]
    world.clock.advance(61)
    await world.send()
    sent = [(event["subject"], event["data"]["step"]) for event in map(_document, receiver.received)]
    assert sent == [("message/1", 1), ("message/2", 1), ("message/1", 1), ("message/1", 2)]


async def test_a_paused_webhook_gets_everything_when_it_is_resumed(world: World, receive: Receive) -> None:
    receiver = receive()
    hook, _ = world.hook(receiver.url())
    world.services.webhooks.pause(OPERATOR, hook)
    for step in range(3):
        world.happen(step=step)
    world.dispatch()
    await world.send()
    assert receiver.received == [] and world.states() == ["pending"] * 3
    world.services.webhooks.resume(OPERATOR, hook)
    await world.send()
    assert [_document(one)["data"]["step"] for one in receiver.received] == [0, 1, 2]


async def test_what_waits_for_a_deleted_webhook_is_dropped(world: World, receive: Receive) -> None:
    receiver = receive()
    hook, _ = world.hook(receiver.url())
    world.happen()
    world.dispatch()
    world.services.webhooks.delete(OPERATOR, hook)
    await world.send()
    assert receiver.received == [] and world.states() == ["skipped"]


async def test_while_the_database_is_away_nothing_is_sent_twice(
    world: World, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receive()
    world.hook(receiver.url())
    world.happen()
    world.dispatch()

    def away(self: Database) -> None:
        raise DatabaseAway("power failure")

    with ThreadPoolExecutor(2) as threads:
        sender = world.sender(threads)
        await sender.turn()
        await sender.idle()
        with monkeypatch.context() as patch:
            patch.setattr(Database, "write", away)
            await sender.turn()
            await sender.turn()
        assert world.states() == ["pending"]
        await sender.turn()
    assert world.states() == ["delivered"] and len(receiver.received) == 1


async def test_a_name_that_leads_into_our_network_is_refused(world: World, receive: Receive) -> None:
    receiver = receive()
    world.hook(receiver.url(host="hooks.example.com"))
    world.client = WebClient(_loopback)
    world.happen()
    world.dispatch()
    await world.send()
    assert receiver.received == []
    assert world.rows()[0].last_error == "hooks.example.com leads to an address that is not public"


async def test_a_name_that_turns_into_our_network_is_refused(world: World, receive: Receive) -> None:
    receiver = receive()
    answers: list[Sequence[str]] = [["93.184.216.34"], ["127.0.0.1"]]

    async def rebinding(host: str) -> Sequence[str]:
        return answers.pop(0)

    opened: list[str] = []

    async def connect(address: str, *arguments: Any, **options: Any) -> Any:
        opened.append(address)
        raise OSError(113, "No route to host")

    world.hook(receiver.url(host="hooks.example.com"))
    world.client = WebClient(rebinding, connect=connect)
    world.happen()
    world.dispatch()
    await world.send()
    assert opened == ["93.184.216.34"] and "no route" in world.rows()[0].last_error
    world.clock.advance(61)
    await world.send()
    assert opened == ["93.184.216.34"] and "leads to an address" in world.rows()[0].last_error
    assert "127.0.0.1" not in world.rows()[0].last_error
    assert receiver.received == []


async def test_a_url_that_is_no_longer_allowed_is_refused(world: World, receive: Receive) -> None:
    receiver = receive()
    world.hook(receiver.url())
    world.happen()
    world.dispatch()
    with ThreadPoolExecutor(2) as threads:
        sender = world.sender(threads)
        sender._allow_private = False
        await sender.turn()
        await sender.idle()
        await sender.turn()
    assert receiver.received == [] and "must begin with https://" in world.rows()[0].last_error


async def test_tls_verifies_the_name_although_the_address_is_pinned(
    world: World, receive: Receive, tmp_path: Path
) -> None:
    make_certificates(tmp_path, world.clock.now(), names=["hooks.example.com"], addresses=[])
    receiver = receive(tls=_server_side(tmp_path))
    trusted = _client_side(tmp_path)
    world.client = WebClient(_loopback, allow_private=True, tls=trusted)
    good, _ = world.hook(receiver.url(scheme="https", host="hooks.example.com"))
    bad, _ = world.hook(receiver.url(scheme="https", host="other.example.com"))
    world.happen()
    world.dispatch()
    await world.send()
    assert [row.state for row in world.rows(webhook_id=good)] == ["delivered"]
    [refused] = world.rows(webhook_id=bad)
    assert refused.state == "pending" and "other.example.com" in refused.last_error
    assert len(receiver.received) == 1


def _document(request: Received) -> Any:
    return json.loads(request.body)


async def _loopback(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


async def _nobody(host: str) -> Sequence[str]:
    raise AssertionError("an address is not looked up")


def _server_side(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def _client_side(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


@asynccontextmanager
async def _turning(sender: Sender) -> AsyncIterator[None]:
    """The sender at work."""
    stop = asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
