"""What happens to a message before the lock: signing, and a large body into the blob store."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.queue.inbox import Add, Prepared, Record
from gateway.system.blobs import BlobsAway, BlobStore

if TYPE_CHECKING:
    from gateway.outgoing.queue.batch import Batch
    from gateway.outgoing.queue.outcomes import KnownBlobs
    from gateway.outgoing.queue.values import NewMessage

INLINE_BYTES = 64 * 1024
"""Larger bodies go to the blob store: SQLite writes each octet about four times."""

_BLOB_WRITERS = 8
_DOWN_SECONDS = 1.0


@dataclass(slots=True)
class _Job:
    """One message to prepare: afterwards it has `prepared` or `refusal`."""

    message: NewMessage
    prepared: Prepared | None = None
    refusal: Refusal | None = None


class Preparation:
    """Signs messages and writes blobs, for the store thread."""

    def __init__(self, blobs: BlobStore, known: KnownBlobs) -> None:
        self._blobs = blobs
        self._known = known
        self._writers = ThreadPoolExecutor(_BLOB_WRITERS, "blobs")
        self._down_until = 0.0
        self._log = structlog.get_logger("gateway.outgoing.queue")

    def close(self) -> None:
        """End the threads."""
        self._writers.shutdown()

    def prepare(self, batch: Batch) -> list[Record]:
        """Prepare what is not yet, and take out of the batch what cannot be.

        A message gets its error. A group of outcomes whose DSN cannot be prepared is returned, to be
        tried again later: written without it, the DSN would be lost.
        """
        adds = {id(add): _Job(add.message) for add in batch.adds if add.prepared is None}
        reports = {
            id(outcome): _Job(outcome.dsn)
            for record in batch.records
            for outcome in record.outcomes
            if outcome.dsn is not None and id(outcome) not in record.prepared
        }
        self._do([*reports.values(), *adds.values()])
        for add in batch.adds:
            if add.prepared is None:
                job = adds[id(add)]
                add.prepared, add.error = job.prepared, job.refusal
        batch.adds = [add for add in batch.adds if add.prepared is not None]
        later = [record for record in batch.records if not self._take_reports(record, reports)]
        if later:
            batch.records = [record for record in batch.records if record not in later]
        return later

    def remove_blobs(self, keys: Iterable[str]) -> None:
        """Delete blobs that no row names. A failure leaves them to the orphan collector."""
        for key in keys:
            try:
                self._blobs.delete(key)
            except BlobsAway as error:
                self._log.warning("blob_left_behind", key=key, reason=str(error))

    def discard(self, adds: Iterable[Add]) -> None:
        """Remove the blobs of messages that were not stored."""
        keys = [add.prepared.blob_key for add in adds if add.prepared is not None]
        self.remove_blobs(key for key in keys if key is not None)

    def _take_reports(self, record: Record, jobs: dict[int, _Job]) -> bool:
        complete = True
        for outcome in record.outcomes:
            job = jobs.get(id(outcome))
            if job is not None and job.prepared is not None:
                record.prepared[id(outcome)] = job.prepared
            elif job is not None:
                reason = str(job.refusal)
                self._log.error("report_not_ready", message_id=outcome.message_id, reason=reason)
                complete = False
        return complete

    def _do(self, jobs: list[_Job]) -> None:
        for job in jobs:
            self._sign(job)
        large = [job for job in jobs if job.prepared is not None and job.prepared.blob_key is not None]
        if len(large) == 1:
            self._write(large[0])
        elif large:
            # Together: a store across the network takes tens of milliseconds for each.
            list(self._writers.map(self._write, large))

    def _sign(self, job: _Job) -> None:
        message = job.message
        try:
            key = f"queue/{message.id}" if len(message.content) > INLINE_BYTES else None
            facts = message.facts() if message.facts is not None else None
            job.prepared = Prepared(message, message.sign(), key, facts)
        except Refusal as refusal:
            job.refusal = refusal
        except Exception:  # noqa: BLE001 - whatever it is, only this message fails
            self._log.exception("signing_failed", message_id=message.id, tenant_id=message.tenant_id)
            text = "the message cannot be signed just now; try again later or ask the operator"
            job.refusal = Refusal(Reply(451, "4.7.0", text), "signing")

    def _write(self, job: _Job) -> None:
        assert job.prepared is not None
        key = job.prepared.blob_key
        assert key is not None
        if time.monotonic() < self._down_until:
            job.prepared, job.refusal = None, not_now()
            return
        try:
            self._blobs.put(key, job.message.content)
        except BlobsAway as error:
            self._log.error("blob_not_written", message_id=job.message.id, reason=str(error))
            job.prepared, job.refusal = None, no_space() if error.full else not_now()
            if not error.full:
                # A store that does not answer costs seconds: nobody else of this batch waits for it again.
                self._down_until = time.monotonic() + _DOWN_SECONDS
        else:
            self._known.note(job.message.id, key)


def no_space() -> Refusal:
    """The answer while there is no room on the disk."""
    text = "no space left to store the message; try again later or ask the operator"
    return Refusal(Reply(452, "4.3.1", text), "storage full")


def not_now() -> Refusal:
    """The answer while the database or the blob store is away."""
    return Refusal(
        Reply(451, "4.3.0", "the message cannot be stored just now; try again later"), "storage away"
    )
