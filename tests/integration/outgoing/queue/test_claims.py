"""Fair claims: over tenants, streams, lanes; however much one of them has."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.outgoing.queue import OutcomeKind, Purpose, QueueStore, tables
from gateway.outgoing.queue.statements import Statements
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import (
    NOW,
    new_message,
    new_recipient,
    outcome,
    recipients_of,
    running_store,
    states_of,
)


def _fill(database: Database, tenant: str, rows: int, lanes: int = 1, **values: Any) -> None:
    """Put one message with many recipients into the tables directly: quicker than storing it."""
    message_id = f"{tenant:0<26}"
    columns = {
        "message_id": message_id, "tenant_id": tenant, "stream": "default", "shard_id": "shard-1",
        "address": "x@example.net", "state": "ready", "attempts": 0, "queued_at": NOW,
        "give_up_at": NOW + 1e6,
        "notify": "", "delay_notified": False, "changed_at": NOW, **values,
    }  # fmt: skip
    facts = {
        "id": message_id, "tenant_id": tenant, "environment": "production", "origin": "submission",
        "stream": "default", "reverse_path": "a@acme.example", "from_address": "a@acme.example",
        "from_domain": "acme.example", "smtputf8": False, "eightbit": False, "size": 10, "received_at": NOW,
    }  # fmt: skip
    with database.write() as connection:
        connection.execute(sa.insert(tables.message), facts)
        connection.execute(
            sa.insert(tables.recipient),
            [columns | {"n": n, "domain": f"d{n % lanes}.example"} for n in range(1, rows + 1)],
        )


async def _claimed(store: QueueStore, limit: int, **options: Any) -> Counter[str]:
    deliveries = await store.claim(limit, **options)
    return Counter(d.message.tenant_id for d in deliveries for _ in d.recipients)


async def test_one_tenants_backlog_does_not_delay_anothers_message(
    location_database: Database, tmp_path: Path
) -> None:
    _fill(location_database, "t-big", 20_000, lanes=3)
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(tenant_id="t-small"))
        assert await _claimed(store, 50) == {"t-big": 49, "t-small": 1}


@pytest.mark.fresh_database
@pytest.mark.parametrize("statement", ["next_stream", "next_lane", "lane_rows", "any_due", "next_parked"])
def test_claims_hop_along_an_index(location_database: Database, statement: str) -> None:
    """What is read in a claim must never depend on how many rows there are."""
    text = getattr(Statements(location_database.dialect), statement)
    names = {
        "tenant_id": "", "stream": "", "shard_id": "", "domain": "", "parked": "", "most": 1, "now": 0.0
    }  # fmt: skip
    explain = "EXPLAIN QUERY PLAN " if location_database.dialect == "sqlite" else "EXPLAIN "
    bound = sa.text(explain + text.text)
    wanted = {name: names[name] for name in text._bindparams}
    with location_database.read() as connection:
        if location_database.dialect == "postgresql":
            # The tables are empty, so that reading them whole would be right: ask what it can do.
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = " ".join(str(row) for row in connection.execute(bound, wanted))
    assert "ix_recipient_" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


async def test_streams_and_lanes_share_what_a_tenant_gets(
    location_database: Database, tmp_path: Path
) -> None:
    _fill(location_database, "t-bulk", 1000, stream="marketing")
    async with running_store(location_database, tmp_path) as store:
        await store.add(
            new_message(new_recipient("one@other.example"), tenant_id="t-bulk", stream="marketing")
        )
        await store.add(new_message(tenant_id="t-bulk", stream="transactional"))
        lanes = Counter(
            (d.message.stream, d.destination) for d in await store.claim(20) for _ in d.recipients
        )
        assert lanes["transactional", "example.net"] == 1
        assert lanes["marketing", "other.example"] == 1
        assert lanes["default", "d0.example"] == 18


async def test_everyone_has_a_turn_when_there_are_more_than_fit(
    location_database: Database, tmp_path: Path
) -> None:
    for number in range(7):
        _fill(location_database, f"t-{number}", 5, lanes=5)
    async with running_store(location_database, tmp_path) as store:
        seen: Counter[str] = Counter()
        for _ in range(4):
            seen += await _claimed(store, 3)
        assert len(seen) == 7
        for _ in range(10):
            seen += await _claimed(store, 3)
        assert seen == {f"t-{number}": 5 for number in range(7)}


async def test_tenants_may_be_left_out(location_database: Database, tmp_path: Path) -> None:
    for number in range(3):
        _fill(location_database, f"t-{number}", 4)
    async with running_store(location_database, tmp_path) as store:
        assert await _claimed(store, 10, skip_tenants={"t-1"}) == {"t-0": 4, "t-2": 4}
        assert set(states_of(location_database)) == {"owned", "ready"}


async def test_lanes_and_whole_shards_may_be_left_out(location_database: Database, tmp_path: Path) -> None:
    _fill(location_database, "t-0", 4, lanes=4, shard_id="shard-a")
    _fill(location_database, "t-1", 4, lanes=4, shard_id="shard-b")
    async with running_store(location_database, tmp_path) as store:
        skip = {("shard-a", "d1.example"), ("shard-a", "d2.example"), ("shard-b", "")}
        taken = {(d.shard_id, d.destination) for d in await store.claim(10, skip_lanes=skip)}
        assert taken == {("shard-a", "d0.example"), ("shard-a", "d3.example")}


async def test_closed_shards_and_tenants_are_parked_and_resumed(
    location_database: Database, tmp_path: Path
) -> None:
    _fill(location_database, "t-0", 3, shard_id="shard-a")
    _fill(location_database, "t-1", 3, shard_id="shard-b")
    _fill(location_database, "t-2", 3, shard_id="shard-c")
    closed: dict[str, Any] = {"paused_shards": {"shard-a"}, "suspended_tenants": {"t-1"}}
    async with running_store(location_database, tmp_path) as store:
        assert await _claimed(store, 100, **closed) == {"t-2": 3}
        rows = recipients_of(location_database)
        assert [(row.state, row.parked) for row in rows if row.tenant_id != "t-2"] == [
            ("waiting", "shard"),
            ("waiting", "shard"),
            ("waiting", "shard"),
            ("waiting", "tenant"),
            ("waiting", "tenant"),
            ("waiting", "tenant"),
        ]
        assert await _claimed(store, 100, **closed) == {}
        assert await _claimed(store, 100, paused_shards={"shard-a"}) == {"t-1": 3}
        assert await _claimed(store, 100) == {"t-0": 3}


async def test_two_workers_never_claim_the_same_row(location_database: Database, tmp_path: Path) -> None:
    _fill(location_database, "t-0", 300, lanes=10)
    async with (
        running_store(location_database, tmp_path, "one") as one,
        running_store(location_database, tmp_path, "two") as two,
    ):
        claimed: list[tuple[str, int]] = []
        for _ in range(20):
            for store in (one, two):
                for delivery in await store.claim(20):
                    claimed += [(delivery.message.id, recipient.n) for recipient in delivery.recipients]
        assert len(claimed) == len(set(claimed)) == 300
        assert Counter(row.owner for row in recipients_of(location_database)).keys() == {"one", "two"}


async def test_late_rows_are_handed_out_for_their_notice_and_their_end(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        (delivery,) = (await store.add(new_message(new_recipient(hand_over=True)))).deliveries
        await store.record([outcome(delivery, OutcomeKind.DEFERRED, next_attempt_at=NOW + 5 * 3600)])
        parked = new_message(new_recipient(paused=True), reverse_path="", give_up_at=NOW + 3600)
        await store.add(parked)
        assert await store.claim_late(10) == []
        clock.advance(3 * 3600)
        (late,) = await store.claim_late(10)
        assert late.purpose is Purpose.LATE
        assert late.recipients[0].next_attempt_at == NOW + 5 * 3600
        assert late.recipients[0].attempt == 1
        told = outcome(
            late, OutcomeKind.DEFERRED, reply="", next_attempt_at=NOW + 5 * 3600, delay_notified=True
        )
        await store.record([told])
        assert await store.claim_late(10) == []
        clock.advance(2 * 3600)
        notified = {d.message.id: d.recipients[0].delay_notified for d in await store.claim(10)}
        assert notified == {late.message.id: True, parked.id: True}


async def test_what_is_parked_ends_after_seven_days(location_database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        await store.add(new_message(new_recipient(paused=True), reverse_path="", give_up_at=NOW + 3600))
        clock.advance(7 * 86_400 - 1)
        assert await store.claim_late(10) == []
        clock.advance(2)
        (late,) = await store.claim_late(10)
        assert late.recipients[0].parked == "shard"
        await store.record(late.handed_back(clock.now()))
        assert [(row.state, row.parked) for row in recipients_of(location_database)] == [("waiting", "shard")]
        (late,) = await store.claim_late(10)
        await store.record([outcome(late, OutcomeKind.EXPIRED, reply="given up after 7 days")])
        assert states_of(location_database) == ["expired"]


async def test_rows_of_silent_workers_are_taken_back(location_database: Database, tmp_path: Path) -> None:
    async with (
        running_store(location_database, tmp_path, "alive") as alive,
        running_store(location_database, tmp_path, "silent", beat_seconds=3_600) as silent,
    ):
        lost = (await silent.add(new_message(new_recipient(hand_over=True)))).id
        kept = (await alive.add(new_message(new_recipient(hand_over=True)))).id
        assert await alive.recover_stale(60) == []
        table = tables.incarnation
        silence = sa.update(table).where(table.c.id == "silent")
        with location_database.write() as connection:
            connection.execute(silence.values(heartbeat_at=table.c.heartbeat_at - 61))
        freed = await alive.recover_stale(60)
        assert [(row.message_id, row.owner, row.possible_duplicate) for row in freed] == [
            (lost, "silent", True)
        ]
        assert states_of(location_database, lost) == ["ready"]
        assert states_of(location_database, kept) == ["owned"]


async def test_a_worker_taken_for_dead_registers_again(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path, "me", beat_seconds=0.05) as store:
        await store.run(lambda connection: connection.execute(sa.delete(tables.incarnation)))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            known = await store.run(
                lambda c: c.scalar(sa.select(sa.func.count()).select_from(tables.incarnation))
            )
            if known:
                return
    pytest.fail("the heartbeat did not register the worker again")
