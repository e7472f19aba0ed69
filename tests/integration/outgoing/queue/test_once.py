"""A caller's key stores a message once: repeated, raced for, refused, and a day later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.control.errors import Conflict
from gateway.outgoing.queue import NewMessage, OnceKey, State, Stored, tables
from gateway.outgoing.queue.once import KEPT_SECONDS
from gateway.outgoing.queue.retention import purge_keys
from gateway.outgoing.quota import Charge, QuotaRefused
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import (
    CONTENT,
    NOW,
    count,
    new_message,
    new_recipient,
    running_store,
)

LARGE = CONTENT + b"x" * 70_000 + b"\r\n"


def keyed(key: str = "k-1", digest: str = "d-1", **changes: object) -> NewMessage:
    return new_message(once=OnceKey(key, digest), **changes)  # type: ignore[arg-type]


async def test_the_same_again_gives_the_first_message(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path / "blobs") as store:
        first = await store.add(keyed(content=LARGE, scheduled_at=NOW + 60))
        again = await store.add(keyed(content=LARGE, scheduled_at=NOW + 60), hand_over=True)
        assert (again.id, again.state, again.release_at) == (first.id, State.SCHEDULED, NOW + 60)
        assert (first.repeated, again.repeated, again.deliveries) == (False, True, ())
        assert count(location_database, tables.message) == 1
        assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 1
        found = await store.find_once("account-1", "k-1")
        assert found is not None
        assert (found.digest, found.stored) == ("d-1", again)
        assert await store.find_once("account-2", "k-1") is None


async def test_another_message_under_the_key_is_a_conflict(
    location_database: Database, tmp_path: Path
) -> None:
    async with running_store(location_database, tmp_path) as store:
        first = await store.add(keyed())
        with pytest.raises(Conflict, match=first.id):
            await store.add(keyed(digest="d-2"))
        other_account = await store.add(keyed(digest="d-2", account_id="account-2"))
        assert not other_account.repeated
        assert count(location_database, tables.message) == 2


async def test_two_processes_that_race_for_a_key_store_one_message(location_url: str, tmp_path: Path) -> None:
    with (
        Database.open(location_url, purpose="default") as one,
        Database.open(location_url, purpose="b") as two,
    ):
        async with (
            running_store(one, tmp_path, "worker-1") as first,
            running_store(two, tmp_path, "worker-2") as second,
        ):
            keys = [f"k-{n % 10}" for n in range(60)]
            stored = await asyncio.gather(
                *((first, second)[n % 2].add(keyed(key)) for n, key in enumerate(keys)),
                *((second, first)[n % 2].add(keyed(key)) for n, key in enumerate(reversed(keys))),
            )
        by_key: dict[str, set[str]] = {}
        for key, one_stored in zip([*keys, *reversed(keys)], stored, strict=True):
            by_key.setdefault(key, set()).add(one_stored.id)
        assert all(len(ids) == 1 for ids in by_key.values())
        assert sum(not one_stored.repeated for one_stored in stored) == 10
        assert count(one, tables.message) == 10
        assert count(one, tables.idempotency) == 10


async def test_what_was_refused_gives_its_key_back(location_database: Database, tmp_path: Path) -> None:
    charge = Charge("account", "account-1", "messages", "day", 1, 1, "policy")
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        await store.add(new_message(charges=(charge,)))
        answers = await asyncio.gather(
            *(store.add(keyed(charges=(charge,))) for _ in range(3)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [QuotaRefused] * 3
        assert count(location_database, tables.idempotency) == 0
        clock.advance(86_400)
        stored = await store.add(keyed(charges=(charge,), clock=clock))
        assert not stored.repeated


async def test_repetitions_take_nothing_from_the_quota(location_database: Database, tmp_path: Path) -> None:
    charge = Charge("account", "account-1", "messages", "day", 2, 1, "policy")
    async with running_store(location_database, tmp_path) as store:
        answers = await asyncio.gather(*(store.add(keyed(charges=(charge,))) for _ in range(5)))
        assert len({answer.id for answer in answers}) == 1
        last = await store.add(new_message(charges=(charge,)))
        assert isinstance(last, Stored)
        with pytest.raises(QuotaRefused):
            await store.add(new_message(charges=(charge,)))


async def test_a_day_later_the_key_is_free(location_database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        first = await store.add(keyed())
        clock.advance(KEPT_SECONDS + 1)
        assert await store.find_once("account-1", "k-1") is None
        second = await store.add(keyed(digest="d-2", clock=clock))
        assert second.id != first.id
        assert not second.repeated
        assert (await store.add(keyed(digest="d-2"))).id == second.id


async def test_old_keys_are_removed_in_time(location_database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        await asyncio.gather(*(store.add(keyed(f"old-{n}")) for n in range(450)))
        clock.advance(3600)
        await store.add(keyed("young", clock=clock))
    assert purge_keys(location_database, NOW + KEPT_SECONDS + 1) == 450
    assert count(location_database, tables.idempotency) == 1


async def test_facts_are_stored_with_their_message(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        with_facts = new_message(new_recipient(), facts=lambda: '{"v":1}')
        await asyncio.gather(store.add(with_facts), store.add(new_message()))
    with location_database.read() as connection:
        (row,) = connection.execute(tables.message_facts.select()).all()
    assert (row.message_id, row.workspace_id, row.at, row.facts) == (
        with_facts.id,
        "workspace-1",
        NOW,
        '{"v":1}',
    )
