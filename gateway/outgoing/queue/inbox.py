"""What waits for the store thread: items put by the event loop, taken in batches."""

from __future__ import annotations

import threading
import time
from asyncio import Future
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.outgoing.queue.values import NewMessage, Outcome
    from gateway.outgoing.signing import Signatures

MOST_ITEMS = 256
"""Items of one batch: bounds the time a commit keeps the lock."""

COMPANY_SECONDS = 0.01
"""How long outcomes alone wait for company; anything else ends that wait at once."""


@dataclass(slots=True, eq=False)
class Prepared:
    """A message signed and, if large, with its body in the blob store: ready for the transaction."""

    message: NewMessage
    signatures: Signatures
    blob_key: str | None
    facts: str | None = None


@dataclass(slots=True, eq=False)
class Item:
    """One request to the store thread. `result` holds unless `error` is set.

    `future` is None for what the thread asks of itself.
    """

    future: Future[Any] | None
    put_at: float = field(init=False, default=0.0)
    result: Any = field(init=False, default=None)
    error: BaseException | None = field(init=False, default=None)


@dataclass(slots=True, eq=False)
class Add(Item):
    """A message to store. `hand_over`: all its recipients that can go now are to be owned by this worker."""

    message: NewMessage
    hand_over: bool = False
    prepared: Prepared | None = field(init=False, default=None)

    @property
    def is_stored(self) -> bool:
        """Whether it is in the queue now: neither refused nor a repetition of another."""
        return self.error is None and not self.result.repeated


@dataclass(slots=True, eq=False)
class Record(Item):
    """Outcomes to write, with their DSNs; never given up while the process lives."""

    outcomes: tuple[Outcome, ...]
    prepared: dict[int, Prepared] = field(init=False, default_factory=dict)


@dataclass(slots=True, eq=False)
class Run(Item):
    """A function to run inside the transaction. `guarded`: in a savepoint, as it may fail.

    `undo` takes back what it did where nobody can tell whether the commit took place.
    """

    function: Callable[[Connection], Any]
    guarded: bool = True
    undo: Callable[[Connection], None] | None = None


class Inbox:
    """A queue from one event loop to one thread. Times are those of `time.monotonic`."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._items: deque[Item] = deque()
        self._urgent = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """Add `item`; False if the inbox is closed."""
        with self._condition:
            if self._closed:
                return False
            item.put_at = time.monotonic()
            self._items.append(item)
            if not isinstance(item, Record):
                self._urgent += 1
            self._condition.notify()
        return True

    def close(self) -> None:
        """Take nothing more in; what is inside is still handed out."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def take(self, idle_seconds: float) -> list[Item] | None:
        """What has piled up, at most `MOST_ITEMS`; [] after `idle_seconds` without any, None at the end.

        Called by the store thread only.
        """
        with self._condition:
            if not self._items and not self._closed:
                self._condition.wait(idle_seconds)
            if not self._items:
                return None if self._closed else []
            self._await_company()
            count = min(len(self._items), MOST_ITEMS)
            taken = [self._items.popleft() for _ in range(count)]
            self._urgent -= sum(not isinstance(item, Record) for item in taken)
            return taken

    def _await_company(self) -> None:
        end = time.monotonic() + COMPANY_SECONDS
        while not self._urgent and not self._closed and len(self._items) < MOST_ITEMS:
            rest = end - time.monotonic()
            if rest <= 0 or not self._condition.wait(rest):
                return

    def withdraw_adds(self, put_before: float) -> list[Add]:
        """Take back messages that have waited since before `put_before`: the thread is stuck."""
        with self._condition:
            if not self._items or self._items[0].put_at >= put_before:
                return []
            late = [item for item in self._items if isinstance(item, Add) and item.put_at < put_before]
            gone = set(map(id, late))
            self._items = deque(item for item in self._items if id(item) not in gone)
            self._urgent -= len(late)
            return late
