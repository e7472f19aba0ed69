"""Putting a message of the gateway's own into the queue inside a transaction that does more than that."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.outgoing.queue import tables
from gateway.outgoing.queue.inbox import Prepared
from gateway.outgoing.queue.preparation import INLINE_BYTES
from gateway.outgoing.queue.rows import Rows, add_message
from gateway.outgoing.queue.values import ContentGone, NewMessage, StoredContent
from gateway.outgoing.signing import Signatures


def insert_message(connection: Connection, message: NewMessage, signatures: Signatures, now: float) -> None:
    """Queue a message that no quota is asked for; the relay finds it when the transaction has committed.

    `signatures` were made before the transaction began. Raises ValueError for one over 64 KiB.
    """
    if message.size > INLINE_BYTES or message.charges:
        raise ValueError("only a small message without charges goes into the queue this way")
    rows = Rows()
    add_message(rows, Prepared(message, signatures, None), None, "", now, _HandedToNobody())
    for table, new in (
        (tables.message, rows.message),
        (tables.message_body, rows.body),
        (tables.recipient, rows.recipient),
        (tables.event, rows.event),
    ):
        connection.execute(sa.insert(table), new)


class _HandedToNobody:
    """The content of a message that is only in the database."""

    async def load(self, message_id: str) -> StoredContent:
        """Never asked: no delivery was made."""
        raise ContentGone(message_id, "it was handed to nobody")
