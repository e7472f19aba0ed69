"""Reading bodies back, in threads of our own: the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from gateway.mail.reply import Refusal
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.outcomes import KnownBlobs
from gateway.outgoing.queue.preparation import not_now
from gateway.outgoing.queue.values import ContentGone, StoredContent
from gateway.outgoing.signing import Signatures
from gateway.system.blobs import BlobMissing, BlobsAway, BlobStore
from gateway.system.database import Database, DatabaseAway

_BODY = sa.select(
    tables.message_body.c.content,
    tables.message_body.c.blob_key,
    tables.message_body.c.signature_header,
    tables.message_body.c.key_ids,
    tables.message_body.c.body_hash,
    tables.message_body.c.signed_at,
).where(tables.message_body.c.message_id == sa.bindparam("id"))


class Contents:
    """The bodies of one location."""

    def __init__(
        self, database: Database, blobs: BlobStore, known: KnownBlobs, threads: ThreadPoolExecutor
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._known = known
        self._threads = threads

    async def load(self, message_id: str) -> StoredContent:
        """The content of one message.

        Raises ContentGone if it is lost, Refusal (451) if database or blob store are away just now.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read, message_id)

    def read(self, message_id: str) -> StoredContent:
        """The same, in the calling thread."""
        try:
            with self._database.read() as connection:
                row = connection.execute(_BODY, {"id": message_id}).first()
            if row is None:
                raise ContentGone(message_id, "it has no body any more")
            content = row.content
            if row.blob_key is not None:
                self._known.note(message_id, row.blob_key)
                content = self._blobs.get(row.blob_key)
        except BlobMissing as error:
            raise ContentGone(message_id, str(error)) from error
        except (DatabaseAway, BlobsAway) as error:
            raise _away(error) from error
        keys = tuple(row.key_ids.split())
        signatures = Signatures(bytes(row.signature_header), keys, bytes(row.body_hash), row.signed_at)
        return StoredContent(bytes(content), signatures)


def _away(error: Exception) -> Refusal:
    refusal = not_now()
    refusal.add_note(str(error))
    return refusal
