"""Several processes, one database: not one message over the quota, and not one under it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.outgoing.queue import store as queue_store
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.outboxrows import LOOSE
from gateway.outgoing.quota import Charge, QuotaRefused
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import NOW, new_message, new_recipient, running_store

PROCESSES = 4
LIMIT = 1000
ADDS = 3000


def _charges(account: str) -> tuple[Charge, ...]:
    tenant = Charge("tenant", "workspace-1/tenant-1", "messages", "day", LIMIT, 1, "plan standard")
    return (Charge("account", account, "messages", "hour", 10**6, 1, "policy free"), tenant)


async def _add_many(url: str, folder: Path, number: int) -> int:
    """Add this process's share, fifty at a time, from several accounts of one tenant; how many were taken."""
    # Four processes take turns at one database here: how long a client would wait is not the question.
    queue_store._ADD_SECONDS = 60.0
    clock = ManualClock(NOW + number)
    accepted = 0
    with Database.open(url, purpose="default") as database:
        async with running_store(database, folder, f"process-{number}", clock) as store:

            async def session(index: int) -> None:
                nonlocal accepted
                for step in range(ADDS // PROCESSES // 50):
                    account = f"account-{(index + step) % 7}"
                    message = new_message(new_recipient(), charges=_charges(account), account_id=account)
                    try:
                        await store.add(message)
                    except QuotaRefused as refusal:
                        assert refusal.reply.code == 452
                    else:
                        accepted += 1

            await asyncio.gather(*map(session, range(50)))
    return accepted


def _in_a_process(url: str, folder: Path, number: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            accepted = asyncio.run(_add_many(url, folder, number))
            (folder / f"accepted-{number}").write_text(str(accepted))
        except BaseException:  # noqa: BLE001 - nothing may come back from a fork
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def test_a_quota_is_exact_over_processes(location_url: str, tmp_path: Path) -> None:
    children = [_in_a_process(location_url, tmp_path, number) for number in range(PROCESSES)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES
    accepted = [int((tmp_path / f"accepted-{number}").read_text()) for number in range(PROCESSES)]
    assert sum(accepted) == LIMIT
    with Database.open(location_url, purpose="default") as database, database.read() as connection:
        counter = tables.quota_counter
        by_scope = sa.select(counter.c.scope, sa.func.sum(counter.c.value)).group_by(counter.c.scope)
        assert {row[0]: row[1] for row in connection.execute(by_scope)} == {"account": LIMIT, "tenant": LIMIT}
        stored = connection.scalar(sa.select(sa.func.count()).select_from(tables.message))
        assert stored == LIMIT
        used = sa.select(sa.func.sum(tables.usage_count.c.accepted))
        assert connection.scalar(used) == LIMIT
        told = connection.scalars(sa.select(tables.event.c.data).where(tables.event.c.kind == LOOSE))
        events = [json.loads(text) for text in told]
        assert sorted((event["percent"], event["value"]) for event in events) == [
            (percent, LIMIT * percent // 100) for percent in (50, 75, 90, 100)
        ]
        assert {(event["scope"], event["limit"], event["window"]) for event in events} == {
            ("tenant", LIMIT, "day")
        }


@pytest.mark.parametrize("limit", [1, 5])
async def test_first_time_recipients_are_remembered(
    limit: int, location_database: Database, tmp_path: Path
) -> None:
    first = Charge("account", "account-1", "first_time_recipients", "day", limit, 3, "policy free")

    async with running_store(location_database, tmp_path) as store:

        async def send(*addresses: str) -> bool:
            message = new_message(
                *map(new_recipient, addresses), charges=(first,), first_time=tuple(addresses)
            )
            try:
                await store.add(message)
            except QuotaRefused:
                return False
            return True

        assert await send("a@example.net")
        assert await send("a@example.net")
        assert await send("b@example.net", "c@example.net") is (limit == 5)
        together = await asyncio.gather(send("d@example.net"), send("d@example.net", "a@example.net"))
        assert together == [limit == 5] * 2
        assert await send("e@example.net", "f@example.net") is False
