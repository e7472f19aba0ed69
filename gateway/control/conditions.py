"""What a caller demands of the change it asks for: nothing in between (`If-Match`), and only once.

Both are held inside the change's own transaction. Control transactions take turns, so of two requests
with the same demand exactly one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.control.base import Base, Time
from gateway.control.errors import Conflict

if TYPE_CHECKING:
    from gateway.control.transaction import ControlChange

KEPT_SECONDS = 24 * 3600.0
"""How long a caller's key stands for its first request."""


class IdempotencyRow(Base):
    """A request that was done. `result` is what it gave, without secrets."""

    __tablename__ = "idempotency"
    __table_args__ = (sa.Index("ix_idempotency_created_at", "created_at"),)

    caller: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    request_hash: Mapped[str]
    result: Mapped[dict[str, Any]]
    created_at: Mapped[Time]


class AlreadyDone(Exception):
    """The same request was done before: `result` is what it gave then. Nothing is changed."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__("done already")
        self.result = result


@dataclass(frozen=True, slots=True)
class Once:
    """A caller's own word for a request. `request_hash` tells the same request from another one."""

    caller: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """`checks` are called with the change before anything is done, and raise what the caller gets then."""

    checks: tuple[Callable[[ControlChange], None], ...] = ()
    once: Once | None = None

    def begin(self, change: ControlChange) -> None:
        """Hold the change to what was demanded. Raises AlreadyDone, Conflict, what the checks raise."""
        if self.once is not None:
            self._refuse_repetition(change, self.once)
        for check in self.checks:
            check(change)

    def finish(self, change: ControlChange) -> None:
        """Remember what was done, in the same transaction."""
        if self.once is not None:
            change.session.add(
                IdempotencyRow(
                    caller=self.once.caller,
                    key=self.once.key,
                    request_hash=self.once.request_hash,
                    result=change.result or {},
                    created_at=change.now,
                )
            )

    def _refuse_repetition(self, change: ControlChange, once: Once) -> None:
        forget = sa.delete(IdempotencyRow).where(IdempotencyRow.created_at < change.now - KEPT_SECONDS)
        change.session.execute(forget)
        row = change.session.get(IdempotencyRow, (once.caller, once.key))
        if row is None:
            return
        if row.request_hash != once.request_hash:
            raise Conflict(
                "idempotency-key-used",
                "This Idempotency-Key was used for another request within the last 24 hours.",
                "Use a new key for a new request; repeat the first request to get its result again.",
            )
        raise AlreadyDone(dict(row.result))
