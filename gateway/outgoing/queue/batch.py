"""One batch as one transaction: outcomes, other work, then messages with their quotas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.mail.reply import Refusal
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.admission import Admission
from gateway.outgoing.queue.driver import ManyRows
from gateway.outgoing.queue.inbox import Add, Item, Prepared, Record, Run
from gateway.outgoing.queue.once import Claims
from gateway.outgoing.queue.outcomes import KnownBlobs, OutcomeWriter, outcome_events
from gateway.outgoing.queue.rows import Rows, add_message
from gateway.outgoing.queue.statements import Statements
from gateway.outgoing.queue.usage import UsageWriter, Used
from gateway.outgoing.queue.values import ContentSource, Outcome, Recorded, Stored

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.outgoing.quota import QuotaView


@dataclass(slots=True)
class Batch:
    """The items of one transaction, sorted by kind."""

    adds: list[Add] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def of(cls, items: Iterable[Item]) -> Batch:
        """Sort `items`, each kind in its order of arrival."""
        batch = cls()
        for item in items:
            if isinstance(item, Add):
                batch.adds.append(item)
            elif isinstance(item, Record):
                batch.records.append(item)
            elif isinstance(item, Run):
                batch.runs.append(item)
        return batch

    @property
    def items(self) -> list[Item]:
        """All of them."""
        return [*self.records, *self.runs, *self.adds]


class BatchTransaction:
    """Does the work of a batch on a connection that is in a transaction.

    Results and refusals are left in the items; nothing of them holds before the commit.
    """

    def __init__(
        self,
        statements: Statements,
        incarnation: str,
        view: QuotaView,
        source: ContentSource,
        blobs: KnownBlobs,
    ) -> None:
        self._me = incarnation
        self._source = source
        self._outcomes = OutcomeWriter(statements, incarnation, blobs)
        self._admission = Admission(statements, view)
        self._usage = UsageWriter(statements.dialect, incarnation)
        self._inserts = [
            (ManyRows.insert(table, statements.dialect, without={"data"}), name)
            for name, table in (
                ("message", tables.message),
                ("body", tables.message_body),
                ("recipient", tables.recipient),
                ("event", tables.event),
                ("facts", tables.message_facts),
            )
        ]

    def committed(self, now: float) -> None:
        """To be called after the commit."""
        self._admission.committed(now)

    def execute(self, connection: Connection, batch: Batch, now: float, *, singly: bool) -> list[str]:
        """Do all of it. Returns the keys of blobs to delete after the commit.

        Raises NotOwned unless `singly`, which writes outcomes one by one and finds those that are lost.
        """
        outcomes = [outcome for record in batch.records for outcome in record.outcomes]
        lost: set[int] = set()
        if singly:
            lost = self._outcomes.apply_singly(connection, outcomes)
        elif outcomes:
            self._outcomes.apply(connection, outcomes)
        for run in batch.runs:
            self._run(connection, run)
        rows, used = Rows(), Used()
        written = [outcome for outcome in outcomes if id(outcome) not in lost] if lost else outcomes
        for outcome in written:
            rows.event.extend(outcome_events(outcome, outcome.tenant_id))
        used.deliver(written)
        self._add(connection, rows, used, batch.adds, now)
        for record in batch.records:
            record.result = self._recorded(rows, record, lost, now)
        for insert, name in self._inserts:
            if new := getattr(rows, name):
                insert.execute(connection, new)
        blobs = self._outcomes.drop_bodies(connection, outcomes)
        self._usage.write(connection, used, now)
        return blobs

    def _run(self, connection: Connection, run: Run) -> None:
        run.error = None
        if not run.guarded:
            run.result = run.function(connection)
            return
        savepoint = connection.begin_nested()
        try:
            run.result = run.function(connection)
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            savepoint.rollback()
            run.error = error
        except Exception as error:  # noqa: BLE001 - it is its caller's, who gets it
            savepoint.rollback()
            run.error = error
        else:
            savepoint.commit()

    def _add(self, connection: Connection, rows: Rows, used: Used, adds: Sequence[Add], now: float) -> None:
        waiting = [add for add in adds if add.prepared is not None]
        if not waiting:
            return
        claims = Claims()
        claims.claim(connection, waiting, now)
        new = [add for add in waiting if claims.is_new(add)]
        decisions = self._admission.admit(connection, [add.message for add in new], now)
        for add, decision in zip(new, decisions, strict=True):
            if isinstance(decision, Refusal):
                add.result, add.error = None, decision
            else:
                add.error = None
                add.result = self._stored(rows, add.prepared, decision, now, hand_over=add.hand_over)
                used.accept(add.message)
        claims.settle(connection)

    def _recorded(self, rows: Rows, record: Record, lost: set[int], now: float) -> Recorded:
        stored = tuple(
            self._stored(rows, record.prepared[id(outcome)], None, now)
            for outcome in record.outcomes
            if outcome.dsn is not None and id(outcome) not in lost
        )
        gone: tuple[Outcome, ...] = ()
        if lost:
            gone = tuple(outcome for outcome in record.outcomes if id(outcome) in lost)
        return Recorded(stored, gone)

    def _stored(
        self,
        rows: Rows,
        prepared: Prepared | None,
        release_at: float | None,
        now: float,
        *,
        hand_over: bool = False,
    ) -> Stored:
        assert prepared is not None
        return add_message(rows, prepared, release_at, self._me, now, self._source, hand_over=hand_over)
