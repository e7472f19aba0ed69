"""What happens to a message before the lock: signing, and a large body into the blob store."""

from __future__ import annotations

from collections.abc import Iterable
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


class Preparation:
    """Signs messages and writes blobs, in the store thread."""

    def __init__(self, blobs: BlobStore, known: KnownBlobs) -> None:
        self._blobs = blobs
        self._known = known
        self._log = structlog.get_logger("gateway.outgoing.queue")

    def prepare(self, batch: Batch) -> list[Record]:
        """Prepare what is not yet, and take out of the batch what cannot be.

        A message gets its error. A group of outcomes whose DSN cannot be prepared is returned, to be
        tried again later: written without it, the DSN would be lost.
        """
        for add in batch.adds:
            if add.prepared is None:
                try:
                    add.prepared = self._prepare(add.message)
                except Refusal as refusal:
                    add.error = refusal
        batch.adds = [add for add in batch.adds if add.prepared is not None]
        later = [record for record in batch.records if not self._prepare_reports(record)]
        if later:
            batch.records = [record for record in batch.records if record not in later]
        return later

    def _prepare_reports(self, record: Record) -> bool:
        for outcome in record.outcomes:
            if outcome.dsn is not None and id(outcome) not in record.prepared:
                try:
                    record.prepared[id(outcome)] = self._prepare(outcome.dsn)
                except Refusal as refusal:
                    self._log.error("report_not_ready", message_id=outcome.message_id, reason=str(refusal))
                    return False
        return True

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

    def _prepare(self, message: NewMessage) -> Prepared:
        try:
            signatures = message.sign()
        except Refusal:
            raise
        except Exception as error:
            self._log.exception("signing_failed", message_id=message.id, tenant_id=message.tenant_id)
            text = "the message cannot be signed just now; try again later or ask the operator"
            raise Refusal(Reply(451, "4.7.0", text), "signing") from error
        if len(message.content) <= INLINE_BYTES:
            return Prepared(message, signatures, None)
        key = f"queue/{message.id}"
        try:
            self._blobs.put(key, message.content)
        except BlobsAway as error:
            self._log.error("blob_not_written", message_id=message.id, reason=str(error))
            raise (no_space() if error.full else not_now()) from error
        self._known.note(message.id, key)
        return Prepared(message, signatures, key)


def no_space() -> Refusal:
    """The answer while there is no room on the disk."""
    text = "no space left to store the message; try again later or ask the operator"
    return Refusal(Reply(452, "4.3.1", text), "storage full")


def not_now() -> Refusal:
    """The answer while the database or the blob store is away."""
    return Refusal(
        Reply(451, "4.3.0", "the message cannot be stored just now; try again later"), "storage away"
    )
