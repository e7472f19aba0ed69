"""The store thread: takes what has piled up, commits it once, answers once. Group commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from gateway.outgoing.queue.batch import Batch, BatchTransaction
from gateway.outgoing.queue.doubt import Doubts
from gateway.outgoing.queue.inbox import Inbox, Item, Record, Run
from gateway.outgoing.queue.outcomes import NotOwned
from gateway.outgoing.queue.preparation import Preparation, no_space, not_now
from gateway.outgoing.queue.space import FreeSpace, LogKeeper
from gateway.system.clock import Clock
from gateway.system.database import Database, DatabaseAway, DatabaseBusy, DatabaseFull

if TYPE_CHECKING:
    from sqlalchemy import Connection

_RETRY_SECONDS = 0.5
_BUSY_TRIES = 3
_LAST_TRIES = 3


class Writer:
    """The one thread of a process that writes to a location's queue."""

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        transaction: BatchTransaction,
        preparation: Preparation,
        doubts: Doubts,
        space: FreeSpace,
        clock: Clock,
        *,
        beat: Callable[[Connection], None],
        beat_seconds: float,
        farewell: Callable[[Connection], object],
        idle: Callable[[Connection], int],
        answer: Callable[[list[Item]], None],
        on_batch: Callable[[int, float], None],
    ) -> None:
        """`beat` runs inside a transaction every `beat_seconds`, `farewell` in the last one.

        `idle` runs in transactions of its own while nobody waits, until it has done 0 rows.

        `answer` gets the finished items of a batch, in the store thread; `on_batch` their number and the
        seconds they took.
        """
        self._database = database
        self._inbox = inbox
        self._transaction = transaction
        self._preparation = preparation
        self._doubts = doubts
        self._space = space
        self._keeper = LogKeeper(database)
        self._clock = clock
        self._beat = beat
        self._beat_seconds = beat_seconds
        self._beat_at = time.monotonic() + beat_seconds
        self._farewell = farewell
        self._idle = idle
        self._answer = answer
        self._on_batch = on_batch
        self._later: list[Record] = []
        self._log = structlog.get_logger("gateway.outgoing.queue")
        self.thread = threading.Thread(target=self._work, name=f"store-{database.purpose}", daemon=True)

    def _work(self) -> None:
        tries = 0
        while True:
            rest = max(0.0, self._beat_at - time.monotonic())
            items = self._inbox.take(min(rest, _RETRY_SECONDS) if self._later else rest)
            if items is None:
                if not self._later or tries >= _LAST_TRIES:
                    break
                tries += 1
                time.sleep(_RETRY_SECONDS if tries > 1 else 0)
            # What failed before goes first: an outcome may be followed by another for the same row.
            batch = Batch.of([*self._later, *(items or ())])
            self._later = []
            self._add_beat(batch)
            if batch.items:
                size, began = len(batch.items), time.monotonic()
                self._process_or_fail(batch)
                self._on_batch(size, time.monotonic() - began)
            if items == []:
                self._use_idle_time()
        self._end()

    def _use_idle_time(self) -> None:
        try:
            while not len(self._inbox):
                with self._database.write() as connection:
                    if not self._idle(connection):
                        return
                self._checkpoint(0)
        except Exception as error:  # noqa: BLE001 - it is tried again when there is time
            self._log.warning("idle_work_failed", reason=repr(error))

    def _add_beat(self, batch: Batch) -> None:
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self._beat_seconds
            batch.runs.append(Run(None, self._beat, guarded=False))

    def _process_or_fail(self, batch: Batch) -> None:
        """The thread must go on whatever happens: without it the location stands still."""
        items = batch.items
        try:
            self._process(batch, items)
        except Exception as error:  # noqa: BLE001 - logged, and everyone is answered
            self._log.exception("store_thread_failed")
            for item in items:
                item.error = error if isinstance(item, Run) else not_now()
            self._answer(items)

    def _process(self, batch: Batch, items: list[Item]) -> None:
        if batch.adds and not self._has_space():
            for add in batch.adds:
                add.error = no_space()
            batch.adds = []
        self._later += self._preparation.prepare(batch)
        if batch.items:
            self._commit_or_fail(batch)
        later = set(map(id, self._later))
        self._answer([item for item in items if id(item) not in later])

    def _commit_or_fail(self, batch: Batch) -> None:
        try:
            self._commit(batch)
        except DatabaseAway as error:
            self._log.error("queue_not_written", reason=str(error), messages=len(batch.adds))
            self._fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on and its item is told
            items = batch.items
            if len(items) > 1:
                self._log.warning("batch_taken_apart", reason=repr(error), items=len(items))
                for item in items:
                    self._commit_or_fail(Batch.of([item]))
                return
            self._log.exception("queue_write_failed")
            for item in items:
                item.error = error
            for add in batch.adds:
                add.error = not_now()
            self._preparation.discard(batch.adds)

    def _commit(self, batch: Batch) -> None:
        singly = False
        for attempt in range(_BUSY_TRIES + 1):
            try:
                self._transact(batch, singly=singly)
            except NotOwned:
                singly = True
            except DatabaseBusy:
                if attempt == _BUSY_TRIES:
                    raise
            else:
                return
        raise DatabaseBusy("the queue's transaction was in the way of others again and again")

    def _transact(self, batch: Batch, *, singly: bool) -> None:
        done = False
        try:
            with self._database.write() as connection:
                now = self._clock.now()
                blobs = list(self._doubts.resolve(connection))
                blobs += self._transaction.execute(connection, batch, now, singly=singly)
                done = True
        except (DatabaseBusy, DatabaseFull):
            raise  # certainly rolled back
        except DatabaseAway:
            if done:
                self._doubts.remember(batch)
                for add in batch.adds:
                    add.prepared = None  # its blob stays until the doubt is resolved
            raise
        self._doubts.settled()
        self._transaction.committed(now)
        self._preparation.discard([add for add in batch.adds if not add.is_stored])
        self._preparation.remove_blobs(blobs)
        self._checkpoint(sum(add.message.size for add in batch.adds))

    def _fail(self, batch: Batch, error: DatabaseAway) -> None:
        for add in batch.adds:
            add.error = no_space() if isinstance(error, DatabaseFull) else not_now()
        self._preparation.discard(batch.adds)
        for run in batch.runs:
            run.error = error
        self._later += batch.records

    def _has_space(self) -> bool:
        try:
            return self._space.is_enough()
        except OSError as error:
            self._log.error("free_space_unknown", reason=str(error))
            return True

    def _checkpoint(self, octets: int) -> None:
        try:
            self._keeper.after_commit(octets)
        except DatabaseAway as error:
            self._log.error("checkpoint_failed", reason=str(error))

    def _end(self) -> None:
        for record in self._later:
            record.error = not_now()
        self._answer(list(self._later))
        try:
            with self._database.write() as connection:
                self._farewell(connection)
        except DatabaseAway as error:
            self._log.error("queue_not_left", reason=str(error))
        self._preparation.close()
