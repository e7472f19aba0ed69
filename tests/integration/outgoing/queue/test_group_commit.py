"""One commit for what piled up, one call into the loop, a few statements however many messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.outgoing.queue import OutcomeKind
from gateway.outgoing.quota import Charge
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import new_message, new_recipient, outcome, running_store


class CountingDatabase:
    """Counts transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.commits = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            yield connection
        self.commits += 1


async def test_many_messages_share_commits_statements_and_wake_ups(
    location_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = CountingDatabase(location_database)
    statements: list[str] = []

    @sa.event.listens_for(location_database.engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    charge = Charge("account", "account-1", "messages", "day", 10_000, 1, "policy")
    async with running_store(counting, tmp_path) as store:  # type: ignore[arg-type]
        calls = 0
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            return wake(*arguments, **options)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        counting.commits = 0
        statements.clear()
        stored = await asyncio.gather(
            *(store.add(new_message(new_recipient(hand_over=True), charges=(charge,))) for _ in range(200))
        )
        # Three batches as a rule; how many are put together while one is committed is the scheduler's.
        assert counting.commits <= 10
        assert calls <= 10
        assert len(statements) <= counting.commits * 12
        outcomes = [outcome(one.deliveries[0], OutcomeKind.DELIVERED) for one in stored]
        statements.clear()
        counting.commits = 0
        await asyncio.gather(*(store.record([one]) for one in outcomes))
        assert counting.commits <= 10
        assert len(statements) <= counting.commits * 8
