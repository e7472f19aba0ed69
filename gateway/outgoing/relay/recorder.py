"""Outcomes on their way into the database: kept until they are written, in groups, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from gateway.outgoing.queue.values import Delivery, Outcome, Recorded
from gateway.outgoing.relay.ledger import DotLedger

_GROUP = 500
_RETRY_SECONDS = 0.5


class Recording(Protocol):
    """What the recorder needs of a queue."""

    async def record(self, outcomes: Sequence[Outcome]) -> Recorded:
        """Write outcomes and what follows from them, in one transaction; waits until it is done."""
        ...


class Recorder:
    """Writes the outcomes of one location.

    Nobody waits for it but `flush`: a connection goes on with its next message while the last
    one's outcome is on its way. What bounds the number of unwritten outcomes is the ledger: a
    final dot needs a slot in it, and slots come back only from here.
    """

    def __init__(
        self, store: Recording, ledger: DotLedger, adopt: Callable[[Sequence[Delivery]], None]
    ) -> None:
        """`adopt` gets the deliveries of reports that were stored for this worker."""
        self._store = store
        self._ledger = ledger
        self._adopt = adopt
        self._waiting: list[Outcome] = []
        self._slots: list[int] = []
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("gateway.outgoing.relay")

    @property
    def backlog(self) -> int:
        """Outcomes not yet written, without those being written now."""
        return len(self._waiting)

    def add(self, outcomes: Sequence[Outcome], slot: int | None = None) -> None:
        """Write these soon; then free the ledger's `slot`."""
        self._waiting.extend(outcomes)
        if slot is not None:
            self._slots.append(slot)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_all())

    async def flush(self) -> None:
        """Wait until everything is written."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    def abandon(self) -> None:
        """Write nothing more."""
        self._waiting.clear()
        self._slots.clear()
        if self._task is not None:
            self._task.cancel()

    async def _write_all(self) -> None:
        while self._waiting or self._slots:
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
            slots: list[int] = []
            if not self._waiting:
                slots, self._slots = self._slots, []
            await self._write(group)
            for slot in slots:
                self._ledger.clear(slot)

    async def _write(self, group: list[Outcome]) -> None:
        if not group:
            return
        try:
            recorded = await self._store.record(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, an outcome must not be forgotten
            await self._singly(group, error)
            return
        self._tell(recorded)

    async def _singly(self, group: list[Outcome], error: Exception) -> None:
        """One bad outcome must not keep the others from being written."""
        self._log.warning("outcomes_not_recorded", outcomes=len(group), error=str(error))
        await asyncio.sleep(_RETRY_SECONDS)
        for outcome in group:
            try:
                self._tell(await self._store.record([outcome]))
            except Exception as trouble:  # noqa: BLE001 - the row stays owned and is recovered at the next start
                self._log.error(
                    "outcome_lost",
                    message_id=outcome.message_id,
                    tenant_id=outcome.tenant_id,
                    n=outcome.n,
                    outcome=outcome.kind.value,
                    error=str(trouble),
                )

    def _tell(self, recorded: Recorded) -> None:
        for outcome in recorded.lost:
            self._log.warning(
                "outcome_not_owned",
                message_id=outcome.message_id,
                tenant_id=outcome.tenant_id,
                n=outcome.n,
                outcome=outcome.kind.value,
                possible_duplicate=outcome.possible_duplicate,
            )
        deliveries = [delivery for stored in recorded.stored for delivery in stored.deliveries]
        if deliveries:
            self._adopt(deliveries)
