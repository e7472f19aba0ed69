"""Worker incarnations: who may own rows, and taking rows back from those that are gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.outgoing.queue import tables
from gateway.outgoing.queue.rows import event_row
from gateway.outgoing.queue.statements import Statements, as_json
from gateway.outgoing.queue.states import State
from gateway.outgoing.queue.values import Freed

if TYPE_CHECKING:
    from sqlalchemy import Connection

STALE_SECONDS = 60.0
"""Without a heartbeat for so long (by the database's clock), a worker on another node is gone."""

PastDot = Collection[tuple[str, int]]
"""(message id, n) of transactions past their final dot without an answer."""


class Owners:
    """Registration and recovery; every function runs in a transaction of its caller."""

    def __init__(self, statements: Statements, incarnation: str, node: str) -> None:
        self._statements = statements
        self._me = incarnation
        self._node = node

    def register(self, connection: Connection) -> None:
        """Make this incarnation known, or known again."""
        connection.execute(self._statements.register, {"me": self._me, "node": self._node})

    def beat(self, connection: Connection) -> None:
        """Say that this incarnation lives. One that was taken for dead registers again."""
        if connection.execute(self._statements.beat, {"me": self._me}).rowcount == 0:
            self.register(connection)

    def recover(
        self, connection: Connection, incarnations: Collection[str], past_dot: PastDot | None, now: float
    ) -> list[Freed]:
        """Make the rows of dead `incarnations` ready again and forget them.

        `past_dot` None: nobody knows, so that every attempt may have been past it.
        """
        if not incarnations:
            return []
        ids = {"ids": as_json(incarnations)}
        taken = connection.execute(self._statements.owned, ids).all()
        freed = [
            Freed(
                row.message_id,
                row.n,
                row.tenant_id,
                row.owner,
                row.state == State.UNKNOWN or past_dot is None or (row.message_id, row.n) in past_dot,
            )
            for row in taken
        ]
        if taken:
            self._statements.free.execute(
                connection,
                [{"id": row.message_id, "n": row.n, "owner": row.owner, "now": now} for row in taken],
            )
        doubled = [
            event_row(
                row.tenant_id,
                row.message_id,
                row.n,
                "possible_duplicate",
                now,
                attempt=row.attempts,
                actor=row.owner,
            )
            for row, free in zip(taken, freed, strict=True)
            if free.possible_duplicate
        ]
        if doubled:
            connection.execute(sa.insert(tables.event), doubled)
        connection.execute(self._statements.forget, ids)
        return freed

    def stale(self, connection: Connection, seconds: float) -> set[str]:
        """Incarnations without a heartbeat for `seconds`, and owners that nobody ever registered."""
        silent = connection.execute(self._statements.stale, {"seconds": seconds, "me": self._me})
        gone = {row[0] for row in silent}
        known = {row[0] for row in connection.execute(sa.select(tables.incarnation.c.id))}
        owners = {row[0] for row in connection.execute(self._statements.owners)}
        return gone | (owners - known - {self._me})
