"""Storing, handing over, claiming and finishing, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.queue import ContentGone, OutcomeKind, Purpose, State, tables
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import (
    CONTENT,
    NOW,
    SIGNATURES,
    count,
    events_of,
    new_message,
    new_recipient,
    outcome,
    recipients_of,
    running_store,
    states_of,
)


async def test_a_stored_message_is_handed_over_with_its_content(
    location_database: Database, tmp_path: Path
) -> None:
    message = new_message(
        new_recipient("b@example.net", hand_over=True),
        new_recipient("c@example.net", hand_over=True),
        new_recipient("d@example.org", hand_over=True),
        new_recipient("e@example.org"),
    )
    async with running_store(location_database, tmp_path) as store:
        stored = await store.add(message)
        assert stored.state is State.READY
        assert [(d.destination, [r.n for r in d.recipients]) for d in stored.deliveries] == [
            ("example.net", [1, 2]),
            ("example.org", [3]),
        ]
        assert (await stored.deliveries[0].load()).content == CONTENT
        assert stored.deliveries[0].message.from_domain == "acme.example"
        assert states_of(location_database) == ["owned", "owned", "owned", "ready"]
        assert [row.attempts for row in recipients_of(location_database)] == [1, 1, 1, 0]
        await store.record([o for d in stored.deliveries for o in d.handed_back(NOW)])


async def test_what_is_not_handed_over_is_claimed_and_read_back(
    location_database: Database, tmp_path: Path
) -> None:
    message = new_message(
        new_recipient(notify=frozenset({"FAILURE", "DELAY"}), orcpt="rfc822;x@example.net"),
        smtputf8=True,
        envid="e1",
    )
    async with running_store(location_database, tmp_path) as store:
        stored = await store.add(message)
        assert stored.deliveries == ()
        (delivery,) = await store.claim(10)
        assert delivery.purpose is Purpose.ATTEMPT
        assert delivery.message.smtputf8 is True
        assert delivery.message.eightbit is False
        assert delivery.message.envid == "e1"
        (recipient,) = delivery.recipients
        assert recipient.notify == {"FAILURE", "DELAY"}
        assert recipient.orcpt == "rfc822;x@example.net"
        assert recipient.attempt == 1
        content = await delivery.load()
        assert content.content == CONTENT
        assert content.signatures == SIGNATURES
        assert await store.claim(10) == []
        await store.record([outcome(delivery, OutcomeKind.DELIVERED)])
        with pytest.raises(ContentGone):
            await delivery.load()


async def test_the_body_goes_with_the_last_recipient(location_database: Database, tmp_path: Path) -> None:
    message = new_message(new_recipient(hand_over=True), new_recipient("c@example.net", hand_over=True))
    async with running_store(location_database, tmp_path) as store:
        (delivery,) = (await store.add(message)).deliveries
        await store.record([outcome(delivery, OutcomeKind.DELIVERED, 0)])
        assert count(location_database, tables.message_body) == 1
        await store.record([outcome(delivery, OutcomeKind.BOUNCED, 1, reply="550 5.1.1 unknown")])
        assert count(location_database, tables.message_body) == 0
        assert states_of(location_database) == ["delivered", "bounced"]
        assert recipients_of(location_database)[1].last_reply == "550 5.1.1 unknown"
        assert events_of(location_database, message.id) == ["accepted", "delivered", "bounced"]


async def test_a_large_body_lies_in_the_blob_store_until_it_is_done(
    location_database: Database, tmp_path: Path
) -> None:
    content = CONTENT + b"x" * 70_000 + b"\r\n"
    blobs = tmp_path / "blobs"
    async with running_store(location_database, blobs) as store:
        await store.add(new_message(content=content))
        (file,) = [path for path in blobs.rglob("*") if path.is_file()]
        assert file.read_bytes() == content
        (delivery,) = await store.claim(1)
        assert (await delivery.load()).content == content
        await store.record([outcome(delivery, OutcomeKind.DELIVERED)])
        assert not file.exists()


async def test_a_deferred_recipient_is_claimed_again_when_it_is_due(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        (delivery,) = (await store.add(new_message(new_recipient(hand_over=True)))).deliveries
        later = outcome(delivery, OutcomeKind.DEFERRED, reply="451 4.7.1 later", next_attempt_at=NOW + 300)
        await store.record([later])
        assert states_of(location_database) == ["waiting"]
        assert await store.claim(10) == []
        clock.advance(301)
        (again,) = await store.claim(10)
        assert again.recipients[0].attempt == 2
        assert again.recipients[0].last_reply == "451 4.7.1 later"
        await store.record(again.handed_back(clock.now()))
        assert recipients_of(location_database)[0].attempts == 1
        assert states_of(location_database) == ["ready"]


async def test_an_outcome_of_a_lost_row_changes_nothing(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        message = new_message(new_recipient(hand_over=True), new_recipient("c@example.net", hand_over=True))
        (delivery,) = (await store.add(message)).deliveries
        freed = await store.recover(["me"], {(message.id, 2)})
        assert [(row.n, row.possible_duplicate) for row in freed] == [(1, False), (2, True)]
        (again,) = await store.claim(1)
        report = new_message(new_recipient("a@acme.example"), reverse_path="", origin="dsn")
        recorded = await store.record(
            [
                outcome(delivery, OutcomeKind.BOUNCED, 0, dsn=report),
                outcome(again, OutcomeKind.DELIVERED),
            ]
        )
        assert [lost.attempt for lost in recorded.lost] == [1]
        assert recorded.stored == ()
        assert states_of(location_database, message.id) == ["delivered", "ready"]
        assert states_of(location_database, report.id) == []
        assert events_of(location_database, message.id) == ["accepted", "possible_duplicate", "delivered"]


async def test_a_report_is_stored_with_the_outcome_that_causes_it(
    location_database: Database, tmp_path: Path
) -> None:
    async with running_store(location_database, tmp_path) as store:
        (delivery,) = (await store.add(new_message(new_recipient(hand_over=True)))).deliveries
        report = new_message(new_recipient("a@acme.example", hand_over=True), reverse_path="", origin="dsn")
        recorded = await store.record([outcome(delivery, OutcomeKind.BOUNCED, dsn=report)])
        (stored,) = recorded.stored
        assert stored.id == report.id
        assert stored.deliveries[0].recipients[0].address == "a@acme.example"
        assert stored.deliveries[0].recipients[0].delay_notified is True
        await store.record([outcome(stored.deliveries[0], OutcomeKind.DELIVERED)])


async def test_a_message_that_cannot_be_signed_fails_alone(
    location_database: Database, tmp_path: Path
) -> None:
    def fail() -> None:
        raise RuntimeError("no key")

    def refuse() -> None:
        raise Refusal(Reply(451, "4.7.0", "no active key"), "signing")

    async with running_store(location_database, tmp_path) as store:
        results = await asyncio.gather(
            store.add(new_message()),
            store.add(new_message(sign=fail)),
            store.add(new_message(sign=refuse)),
            store.add(new_message()),
            return_exceptions=True,
        )
        assert [type(result).__name__ for result in results] == ["Stored", "Refusal", "Refusal", "Stored"]
        assert [str(result.reply)[:9] for result in results[1:3]] == ["451 4.7.0"] * 2
        assert count(location_database, tables.message) == 2


async def test_held_scheduled_and_paused_messages_wait(location_database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        handed = new_recipient(hand_over=True)
        held = await store.add(new_message(handed, hold_rule="suspicious"))
        scheduled = await store.add(new_message(handed, scheduled_at=NOW + 50))
        paused = await store.add(new_message(new_recipient(paused=True)))
        assert (held.state, scheduled.state, paused.state) == (State.HELD, State.SCHEDULED, State.READY)
        assert scheduled.release_at == NOW + 50
        assert held.deliveries == scheduled.deliveries == paused.deliveries == ()
        assert states_of(location_database, paused.id) == ["waiting"]
        assert events_of(location_database, held.id) == ["accepted", "held"]
        assert await store.claim(10, paused_shards={"shard-1"}) == []
        clock.advance(60)
        deliveries = await store.claim(10, paused_shards={"shard-2"})
        assert {delivery.message.id for delivery in deliveries} == {scheduled.id, paused.id}


async def test_the_life_clock_stands_while_a_message_is_scheduled(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        await store.add(new_message(scheduled_at=NOW + 5000, give_up_at=NOW + 1000))
        clock.advance(6000)
        (delivery,) = await store.claim(1)
        assert delivery.recipients[0].give_up_at == NOW + 7000
        assert delivery.recipients[0].queued_at == NOW + 6000


async def test_a_cancelled_waiter_loses_nothing(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        message = new_message(new_recipient(hand_over=True))
        task = asyncio.create_task(store.add(message))
        await asyncio.sleep(0)
        task.cancel()
        other = await store.add(new_message())
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.run(lambda connection: None)
        await store.run(lambda connection: None)
        assert states_of(location_database, message.id) == ["ready"]
        assert states_of(location_database, other.id) == ["ready"]


async def test_run_rides_along_and_fails_alone(location_database: Database, tmp_path: Path) -> None:
    def fail(connection: object) -> None:
        raise ValueError("mine")

    async with running_store(location_database, tmp_path) as store:
        results = await asyncio.gather(
            store.add(new_message()),
            store.run(fail),
            store.run(lambda connection: 7),
            return_exceptions=True,
        )
        assert isinstance(results[1], ValueError)
        assert results[2] == 7
        assert count(location_database, tables.message) == 1


async def test_stopping_frees_what_is_owned(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(new_recipient(hand_over=True)))
    assert states_of(location_database) == ["ready"]
    assert count(location_database, tables.incarnation) == 0
    with pytest.raises(Refusal):
        await store.add(new_message())
