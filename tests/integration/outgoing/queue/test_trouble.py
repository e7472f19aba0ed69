"""A full disk, a database that goes away, a commit of which nobody knows, a thread that is stuck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from gateway.mail.reply import Refusal
from gateway.outgoing.queue import OutcomeKind, tables
from gateway.outgoing.quota import Charge
from gateway.system.blobs import BlobsAway, LocalBlobs
from gateway.system.database import Database, DatabaseAway, DatabaseFull
from tests.integration.outgoing.queue.parts import (
    CONTENT,
    NOW,
    count,
    events_of,
    new_message,
    new_recipient,
    outcome,
    running_store,
    states_of,
)

LARGE = CONTENT + b"x" * 70_000 + b"\r\n"


class FlakyDatabase:
    """A real database whose commits fail as told, before or after they take place."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.before: Exception | None = None
        self.after: Exception | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            if isinstance(self.before, DatabaseFull):
                yield connection
            if self.before is not None:
                raise self.before
            yield connection
        if self.after is not None:
            error, self.after = self.after, None
            raise error


@pytest.fixture
def flaky(location_database: Database) -> FlakyDatabase:
    return FlakyDatabase(location_database)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "queue" in path.parts]


@pytest.mark.parametrize(
    ("error", "reply"), [(DatabaseFull("full"), "452 4.3.1"), (DatabaseAway("gone"), "451 4.3.0")]
)
async def test_a_failing_database_refuses_and_recovers(
    error: Exception, reply: str, flaky: FlakyDatabase, tmp_path: Path
) -> None:
    async with running_store(flaky, tmp_path) as store:  # type: ignore[arg-type]
        (delivery,) = (await store.add(new_message(new_recipient(hand_over=True)))).deliveries
        flaky.before = error
        recording = asyncio.create_task(store.record([outcome(delivery, OutcomeKind.DELIVERED)]))
        began = time.monotonic()
        results = await asyncio.gather(
            *(store.add(new_message(content=LARGE)) for _ in range(5)), return_exceptions=True
        )
        assert time.monotonic() - began < 8
        assert [str(result.reply)[:9] for result in results if isinstance(result, Refusal)] == [reply] * 5
        assert count(flaky, tables.message) == 1  # type: ignore[arg-type]
        assert _files(tmp_path) == []
        assert not recording.done()
        flaky.before = None
        await store.add(new_message())
        assert (await recording).lost == ()
        assert states_of(flaky, delivery.message.id) == ["delivered"]  # type: ignore[arg-type]


async def test_a_commit_in_doubt_is_taken_back(flaky: FlakyDatabase, tmp_path: Path) -> None:
    """The connection breaks in the commit: the client hears 451, so nothing may stay."""
    async with running_store(flaky, tmp_path) as store:  # type: ignore[arg-type]
        ready = new_message()
        await store.add(ready)
        refused = new_message(new_recipient(hand_over=True), content=LARGE)
        flaky.after = DatabaseAway("the connection broke")
        with pytest.raises(Refusal, match=r"451 4\.3\.0"):
            await store.add(refused)
        flaky.after = DatabaseAway("the connection broke")
        with pytest.raises(DatabaseAway):
            await store.claim(10)
        await store.add(new_message())
        assert states_of(flaky, refused.id) == []  # type: ignore[arg-type]
        assert events_of(flaky, refused.id) == []  # type: ignore[arg-type]
        assert _files(tmp_path) == []
        assert states_of(flaky, ready.id) == ["ready"]  # type: ignore[arg-type]


async def test_an_outcome_in_doubt_is_not_written_twice(flaky: FlakyDatabase, tmp_path: Path) -> None:
    async with running_store(flaky, tmp_path) as store:  # type: ignore[arg-type]
        message = new_message(new_recipient(hand_over=True))
        (delivery,) = (await store.add(message)).deliveries
        report = new_message(new_recipient("a@acme.example", hand_over=True), reverse_path="", origin="dsn")
        flaky.after = DatabaseAway("the connection broke")
        recorded = await store.record([outcome(delivery, OutcomeKind.BOUNCED, dsn=report)])
        assert len(recorded.lost) == 1
        assert events_of(flaky, message.id) == ["accepted", "bounced"]  # type: ignore[arg-type]
        # Nobody was told of the report's delivery, so it must be there to be claimed.
        assert states_of(flaky, report.id) == ["ready"]  # type: ignore[arg-type]


async def test_low_space_refuses_before_anything_is_written(
    location_database: Database, tmp_path: Path
) -> None:
    async with running_store(location_database, tmp_path, floor_bytes=2**62) as store:
        with pytest.raises(Refusal, match=r"452 4\.3\.1"):
            await store.add(new_message(content=LARGE))
    if location_database.dialect == "sqlite":
        assert count(location_database, tables.message) == 0
    assert _files(tmp_path) == []


async def test_a_full_sqlite_file_refuses_and_service_resumes(
    sqlite_location: Database, tmp_path: Path
) -> None:
    async with running_store(sqlite_location, tmp_path) as store:

        def limit(pages: int) -> None:
            with sqlite_location.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.execute(f"PRAGMA max_page_count={pages}")

        await store.add(new_message())
        limit(1)
        content = CONTENT + b"x" * 60_000
        results = await asyncio.gather(
            *(store.add(new_message(content=content)) for _ in range(20)), return_exceptions=True
        )
        assert {str(result.reply)[:9] for result in results if isinstance(result, Refusal)} == {"452 4.3.1"}
        stored = sum(not isinstance(result, BaseException) for result in results)
        assert count(sqlite_location, tables.message) == stored + 1
        assert count(sqlite_location, tables.recipient) == stored + 1
        limit(1_000_000)
        await store.add(new_message(content=content))


async def test_blobs_that_cannot_be_written(location_database: Database, tmp_path: Path) -> None:
    class FullBlobs(LocalBlobs):
        def put(self, key: str, data: bytes) -> None:
            raise BlobsAway("here", "no space", full=True)

    async with running_store(location_database, tmp_path) as store:
        store._writer._preparation._blobs = FullBlobs(tmp_path)
        with pytest.raises(Refusal, match=r"452 4\.3\.1"):
            await store.add(new_message(content=LARGE))
        await store.add(new_message())


async def test_a_silent_blob_store_is_asked_once_a_batch(location_database: Database, tmp_path: Path) -> None:
    asked = 0

    class SilentBlobs(LocalBlobs):
        def put(self, key: str, data: bytes) -> None:
            nonlocal asked
            asked += 1
            raise BlobsAway("there", "timed out")

    async with running_store(location_database, tmp_path) as store:
        store._writer._preparation._blobs = SilentBlobs(tmp_path)
        adds = [store.add(new_message(content=LARGE)) for _ in range(100)]
        small = store.add(new_message())
        results = await asyncio.gather(small, *adds, return_exceptions=True)
        assert [str(result.reply)[:9] for result in results if isinstance(result, Refusal)] == [
            "451 4.3.0"
        ] * 100
        assert asked < 20


async def test_the_thread_outlives_what_nobody_expected(location_database: Database, tmp_path: Path) -> None:
    class BrokenBlobs(LocalBlobs):
        def put(self, key: str, data: bytes) -> None:
            raise RuntimeError("a bug")

    async with running_store(location_database, tmp_path) as store:
        store._writer._preparation._blobs = BrokenBlobs(tmp_path)
        with pytest.raises(Refusal, match=r"451 4\.3\.0"):
            await store.add(new_message(content=LARGE))
        await store.add(new_message())
        assert count(location_database, tables.message) == 1


async def test_a_message_refused_by_quota_leaves_no_blob(location_database: Database, tmp_path: Path) -> None:
    charge = Charge("account", "account-1", "messages", "day", 1, 1, "policy free")
    async with running_store(location_database, tmp_path) as store:
        results = await asyncio.gather(
            *(store.add(new_message(content=LARGE, charges=(charge,))) for _ in range(4)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Refusal) for result in results) == 3
        assert len(_files(tmp_path)) == 1
        assert store.quota.refusal([charge], NOW) is not None


async def test_a_stuck_thread_does_not_keep_clients_waiting(flaky: FlakyDatabase, tmp_path: Path) -> None:
    taken, release = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def block(connection: Connection) -> None:
        loop.call_soon_threadsafe(taken.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    async with running_store(flaky, tmp_path) as store:  # type: ignore[arg-type]
        blocking = asyncio.create_task(store.run(block))
        await taken.wait()
        late = new_message()
        began = time.monotonic()
        with pytest.raises(Refusal, match=r"451 4\.3\.0"):
            await store.add(late)
        assert time.monotonic() - began < 8
        release.set()
        await blocking
        await store.run(lambda connection: None)
        assert states_of(flaky, late.id) == []  # type: ignore[arg-type]


async def test_a_moved_account_is_told_to_come_back(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        row = {"account_id": "account-1", "tenant_id": "tenant-1", "epoch": 2, "state": "fenced"}
        await store.run(lambda connection: connection.execute(tables.account_home.insert(), row))
        results = await asyncio.gather(
            store.add(new_message()), store.add(new_message(account_id="account-2")), return_exceptions=True
        )
        assert isinstance(results[0], Refusal)
        assert results[0].reply.code == 451
        assert not isinstance(results[1], BaseException)


async def test_the_log_of_sqlite_stays_small(sqlite_location: Database, tmp_path: Path) -> None:
    assert sqlite_location.path is not None
    log = sqlite_location.path.with_name(sqlite_location.path.name + "-wal")
    content = CONTENT + b"x" * 60_000
    async with running_store(sqlite_location, tmp_path) as store:
        largest = 0
        for _ in range(40):
            await asyncio.gather(*(store.add(new_message(content=content)) for _ in range(10)))
            largest = max(largest, log.stat().st_size)
    assert largest < 20 * 1024 * 1024
