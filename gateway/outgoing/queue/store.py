"""The queue of one location as the event loop sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gateway.outgoing.queue import lookup, reading
from gateway.outgoing.queue.batch import BatchTransaction
from gateway.outgoing.queue.claims import Claimer, Closed, Picker, Picks
from gateway.outgoing.queue.contents import Contents
from gateway.outgoing.queue.doubt import Doubts
from gateway.outgoing.queue.inbox import Add, Inbox, Item, Record, Run
from gateway.outgoing.queue.once import KEPT_SECONDS, Earlier, find_once
from gateway.outgoing.queue.outcomes import KnownBlobs
from gateway.outgoing.queue.owners import STALE_SECONDS, Owners, PastDot
from gateway.outgoing.queue.preparation import Preparation, not_now
from gateway.outgoing.queue.space import FreeSpace
from gateway.outgoing.queue.statements import Statements
from gateway.outgoing.queue.values import (
    Delivery,
    Freed,
    NewMessage,
    Outcome,
    Recorded,
    Stored,
    StoredContent,
)
from gateway.outgoing.queue.writer import Writer
from gateway.outgoing.quota import QuotaView
from gateway.system.blobs import BlobStore, LocalBlobs
from gateway.system.clock import Clock
from gateway.system.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

_ADD_SECONDS = 4.0
"""A message that the thread has not taken by then is refused: 451 within 5 s, whatever the disk does."""

_WATCH_SECONDS = 0.5
_READERS = 2

Adopter = Callable[[Sequence[Delivery]], None]


class QueueStore:
    """Stores messages, hands out deliveries, writes outcomes. One per process and location.

    All methods are called on the event loop that called `start`. A coroutine that is cancelled while
    it waits changes nothing: the work is done, and its deliveries go to the adopter.
    """

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        location: str,
        incarnation: str,
        clock: Clock,
        *,
        node: str = "local",
        floor_bytes: int = 64 * 1024 * 1024,
        beat_seconds: float = 5.0,
        on_batch: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        """`incarnation` names this worker process, once and never again; `node` the machine.

        `floor_bytes` must stay free on the disks: 1.5 times the largest message and a reserve. `on_batch`
        gets the size and the seconds of each batch, in the store thread.
        """
        self.location = location
        self._on_batch = on_batch
        self.incarnation = incarnation
        self.quota = QuotaView()
        self._database = database
        self._clock = clock
        self._statements = Statements(database.dialect)
        self._threads = ThreadPoolExecutor(_READERS, f"read-{location}")
        known = KnownBlobs()
        self._contents = Contents(database, blobs, known, self._threads)
        self._owners = Owners(self._statements, incarnation, node)
        self._picker = Picker(self._statements)
        self._claimer = Claimer(self._statements, incarnation, self._contents)
        self._inbox = Inbox()
        self._log = structlog.get_logger("gateway.outgoing.queue")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._adopter: Adopter | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._picking = asyncio.Lock()
        self._writer = self._make_writer(blobs, known, floor_bytes, beat_seconds)

    async def start(self) -> None:
        """Start the store thread and register this incarnation. Raises DatabaseAway."""
        self._loop = asyncio.get_running_loop()
        self._writer.thread.start()
        await self.run(self._owners.register)
        self._watch = self._loop.call_later(_WATCH_SECONDS, self._look_after_adds)

    async def stop(self) -> None:
        """Write what is inside, free what is still owned, end the thread. Nothing may be added after."""
        if self._watch is not None:
            self._watch.cancel()
        self._inbox.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._writer.thread.join)
        await asyncio.sleep(0)  # the thread's last answers are callbacks of this loop
        self._threads.shutdown(wait=False)

    def adopt_with(self, adopter: Adopter) -> None:
        """Whom to give deliveries whose coroutine was cancelled; without one they are handed back."""
        self._adopter = adopter

    async def add(self, message: NewMessage, *, hand_over: bool = False) -> Stored:
        """Make `message` durable; when this returns, `250` may be sent.

        `hand_over`: own all its recipients that are not paused, and return their deliveries; without it
        those alone that ask for it.

        Raises QuotaRefused; Refusal 452 4.3.1 (no space), 451 4.3.0 (database or blobs away), or what
        `message.sign` raised. Refused messages leave nothing behind.
        """
        stored: Stored = await self._wait(
            Add(self._future(), message, hand_over), lambda done: self._adopt(done.deliveries)
        )
        return stored

    async def find_once(self, account_id: str, key: str) -> Earlier | None:
        """What an account's message under a caller's key became, if it is less than a day old.

        Raises DatabaseAway.
        """
        since = self._clock.now() - KEPT_SECONDS

        def look() -> Earlier | None:
            with self._database.read() as connection:
                return find_once(connection, account_id, key, since)

        return await asyncio.get_running_loop().run_in_executor(self._threads, look)

    async def record(self, outcomes: Sequence[Outcome]) -> Recorded:
        """Write `outcomes` and what follows from them, all in one transaction; waits until it is done.

        Raises Refusal (451) only if the store stops first: then the rows will be freed by recovery.
        """
        recorded: Recorded = await self._wait(
            Record(self._future(), tuple(outcomes)),
            lambda done: self._adopt([delivery for stored in done.stored for delivery in stored.deliveries]),
        )
        return recorded

    async def claim(
        self,
        limit: int,
        *,
        paused_shards: Collection[str] = (),
        suspended_tenants: Collection[str] = (),
        skip_tenants: Collection[str] = (),
        skip_lanes: Collection[tuple[str, str]] = (),
    ) -> list[Delivery]:
        """Own at most `limit` due rows, in fair order over tenants, streams and lanes.

        Call it every second or so even without being woken: it also makes due rows ready, parks rows
        of `paused_shards` and `suspended_tenants`, and resumes those parked that are in neither any
        more. Tenants in `skip_tenants` and lanes in `skip_lanes` ((shard, domain), the domain "" for
        all of a shard), of which enough waits in memory, are left alone. Raises DatabaseAway.
        """
        closed = Closed(frozenset(paused_shards), frozenset(suspended_tenants))
        pick = partial(self._pick, limit, closed, frozenset(skip_tenants), frozenset(skip_lanes))
        async with self._picking:
            loop = asyncio.get_running_loop()
            picks = await loop.run_in_executor(self._threads, pick)
            if picks.due or picks.resume:
                await self.run(partial(self._make_ready, picks), guarded=False)
                picks = await loop.run_in_executor(self._threads, pick)
            if not (picks.rows or picks.park):
                return []
            run = Run(self._future(), partial(self._take, picks), guarded=False)
            run.undo = partial(self._give_back, picks)
            deliveries: list[Delivery] = await self._wait(run, self._adopt)
            return deliveries

    async def claim_late(self, limit: int) -> list[Delivery]:
        """Own at most `limit` waiting rows whose delay is to be told or whose life is over.

        Their `purpose` is LATE: no attempt is due. Raises DatabaseAway.
        """

        def take(connection: Connection) -> list[Delivery]:
            return self._claimer.claim_late(connection, limit, self._clock.now())

        deliveries: list[Delivery] = await self._wait(Run(self._future(), take, guarded=False), self._adopt)
        return deliveries

    async def run(self, function: Callable[[Connection], T], *, guarded: bool = True) -> T:
        """Run `function` inside the next transaction, in a savepoint of its own if `guarded`.

        It may be run again if that transaction is tried again. Raises what it raises, or DatabaseAway.
        """
        result: T = await self._wait(Run(self._future(), function, guarded=guarded), None)
        return result

    def post(self, function: Callable[[Connection], object]) -> None:
        """As `run`, for what may be lost: nobody waits for it, a failure is only logged. Any thread."""
        self._inbox.put(Run(None, function))

    async def recover(self, incarnations: Collection[str], past_dot: PastDot | None) -> list[Freed]:
        """Take back the rows of workers that are dead for certain; each possible duplicate is logged.

        `past_dot`: their transactions past the final dot without an answer; None: not known, all may be.
        """
        dead = tuple(incarnations)
        freed = await self.run(lambda c: self._owners.recover(c, dead, past_dot, self._clock.now()))
        return self._told(freed)

    async def recover_stale(self, seconds: float = STALE_SECONDS) -> list[Freed]:
        """Take back the rows of workers, on any node, without a heartbeat for `seconds`."""

        def free(connection: Connection) -> list[Freed]:
            gone = self._owners.stale(connection, seconds)
            return self._owners.recover(connection, gone, None, self._clock.now())

        return self._told(await self.run(free))

    async def load(self, message_id: str) -> StoredContent:
        """The content of a queued message. Raises ContentGone, Refusal (451)."""
        return await self._contents.load(message_id)

    def _make_writer(
        self, blobs: BlobStore, known: KnownBlobs, floor_bytes: int, beat_seconds: float
    ) -> Writer:
        database, clock = self._database, self._clock
        return Writer(
            database,
            self._inbox,
            BatchTransaction(self._statements, self.incarnation, self.quota, self._contents, known),
            Preparation(blobs, known),
            Doubts(self.incarnation),
            FreeSpace(_folders(database, blobs), floor_bytes),
            clock,
            beat=self._owners.beat,
            beat_seconds=beat_seconds,
            farewell=self._leave,
            idle=lambda connection: lookup.enter_some(connection, clock.now()),
            answer=self._answer,
            on_batch=self._on_batch,
        )

    async def count_live(self) -> dict[str, int]:
        """How many recipients are in each live state now. Raises DatabaseAway."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._count_live)

    def _count_live(self) -> dict[str, int]:
        with self._database.read() as connection:
            return reading.live_counts(connection)

    def _future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    async def _wait(self, item: Item, adopt: Callable[[Any], None] | None) -> Any:
        future = item.future
        assert future is not None
        if not self._inbox.put(item):
            raise not_now()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The thread does its work all the same; what it hands out must not be lost.
            future.add_done_callback(partial(_abandoned, adopt))
            raise

    def _answer(self, items: list[Item]) -> None:
        """In the store thread: one call into the loop for a whole batch."""
        for item in items:
            if item.future is None and item.error is not None:
                self._log.error("write_behind_failed", location=self.location, reason=str(item.error))
        waiting = [item for item in items if item.future is not None]
        if waiting and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_resolve, waiting)
            except RuntimeError:
                self._log.warning("loop_closed_before_answers", location=self.location, items=len(waiting))

    def _look_after_adds(self) -> None:
        for add in self._inbox.withdraw_adds(time.monotonic() - _ADD_SECONDS):
            add.error = not_now()
            _resolve([add])
        assert self._loop is not None
        self._watch = self._loop.call_later(_WATCH_SECONDS, self._look_after_adds)

    def _adopt(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        if self._adopter is not None:
            self._adopter(deliveries)
            return
        now = self._clock.now()
        outcomes = tuple(outcome for delivery in deliveries for outcome in delivery.handed_back(now))
        self._inbox.put(Record(None, outcomes))

    def _pick(
        self,
        limit: int,
        closed: Closed,
        skip_tenants: Collection[str],
        skip_lanes: Collection[tuple[str, str]],
    ) -> Picks:
        with self._database.read() as connection:
            return self._picker.pick(connection, limit, closed, skip_tenants, skip_lanes, self._clock.now())

    def _make_ready(self, picks: Picks, connection: Connection) -> None:
        now = self._clock.now()
        self._claimer.promote(connection, now)
        self._claimer.resume(connection, picks, now)

    def _take(self, picks: Picks, connection: Connection) -> list[Delivery]:
        now = self._clock.now()
        self._claimer.park(connection, picks, now)
        return self._claimer.claim(connection, picks.rows, now)

    def _give_back(self, picks: Picks, connection: Connection) -> None:
        self._claimer.give_back(connection, picks.rows, self._clock.now())

    def _leave(self, connection: Connection) -> None:
        freed = self._owners.recover(connection, [self.incarnation], None, self._clock.now())
        self._told(freed)

    def _told(self, freed: list[Freed]) -> list[Freed]:
        for row in freed:
            if row.possible_duplicate:
                ids = {"message_id": row.message_id, "n": row.n, "tenant_id": row.tenant_id}
                self._log.warning("possible_duplicate", **ids, owner=row.owner)
        return freed


def _resolve(items: Sequence[Item]) -> None:
    for item in items:
        future = item.future
        if future is None or future.done():
            continue
        if item.error is not None:
            future.set_exception(item.error)
        else:
            future.set_result(item.result)


def _abandoned(adopt: Callable[[Any], None] | None, future: asyncio.Future[Any]) -> None:
    if future.cancelled() or future.exception() is not None:
        return
    if adopt is not None:
        adopt(future.result())


def _folders(database: Database, blobs: BlobStore) -> list[Path]:
    folders = [] if database.path is None else [database.path.parent]
    if isinstance(blobs, LocalBlobs):
        blobs.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        folders.append(blobs.directory)
    return folders
