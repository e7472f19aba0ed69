"""After a commit of which nobody knows whether it took place (the connection broke in it).

The clients have been told 451 by then. What may have been stored all the same is taken back in the
next transaction that works, so that a refused message leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.outgoing.queue import tables
from gateway.outgoing.queue.batch import Batch
from gateway.outgoing.queue.history import delete_events
from gateway.outgoing.queue.states import LIVE

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Doubts:
    """What is to be taken back before anything else is written. Store thread only."""

    def __init__(self, incarnation: str) -> None:
        self._me = incarnation
        self._messages: list[str] = []
        self._reports: list[str] = []
        self._undo: list[Callable[[Connection], None]] = []
        self._blobs: list[str] = []

    def remember(self, batch: Batch) -> None:
        """A batch whose commit failed in the middle."""
        for add in batch.adds:
            self._messages.append(add.message.id)
            if add.prepared is not None and add.prepared.blob_key is not None:
                self._blobs.append(add.prepared.blob_key)
        for record in batch.records:
            self._reports += [outcome.dsn.id for outcome in record.outcomes if outcome.dsn is not None]
        self._undo += [run.undo for run in batch.runs if run.undo is not None]

    def resolve(self, connection: Connection) -> list[str]:
        """Take all of it back; returns the keys of blobs to delete after the commit."""
        if self._messages:
            self._erase(connection, self._messages)
        if self._reports:
            # If its outcome was written, this report was too, and no relay knows of it.
            table = tables.recipient
            connection.execute(
                sa.update(table)
                .where(table.c.message_id.in_(self._reports), table.c.owner == self._me)
                .values(state="ready", owner=None, attempts=0)
            )
        for undo in self._undo:
            undo(connection)
        return self._blobs

    def settled(self) -> None:
        """After the commit of `resolve`."""
        self._messages, self._reports, self._undo, self._blobs = [], [], [], []

    def _erase(self, connection: Connection, ids: Iterable[str]) -> None:
        recipient = tables.recipient
        mine = list(ids)
        taken = sa.select(recipient.c.message_id).where(
            recipient.c.message_id.in_(mine),
            sa.or_(
                recipient.c.state.not_in([state.value for state in LIVE]),
                sa.and_(recipient.c.owner.is_not(None), recipient.c.owner != self._me),
            ),
        )
        # Another worker may have begun to deliver what we took for lost; that cannot be taken back.
        gone = set(mine) - {row[0] for row in connection.execute(taken)}
        delete_events(connection, gone)
        for table, column in (
            (recipient, recipient.c.message_id),
            (tables.message_body, tables.message_body.c.message_id),
            (tables.message_facts, tables.message_facts.c.message_id),
            (tables.idempotency, tables.idempotency.c.message_id),
            (tables.message, tables.message.c.id),
        ):
            connection.execute(sa.delete(table).where(column.in_(gone)))
        self._blobs = [key for key in self._blobs if key.removeprefix("queue/") in gone]
