"""Gates: the connections of one shard to one destination, counted over all processes of the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from gateway.outgoing.relay.replies import PeerReply
from gateway.outgoing.relay.routes import CaptureRoute, MxRoute, Route
from gateway.outgoing.relay.transaction import MAX_RECIPIENTS

if TYPE_CHECKING:
    from gateway.control.records import ShardRecord
    from gateway.outgoing.queue import Delivery
    from gateway.outgoing.relay.clearance import Go
    from gateway.outgoing.relay.connection import Connection

GateKey = tuple[str, str]
"""Shard id and destination: the recipient domain, a smarthost's `host:port`, or a capture folder."""

_DOWN_SECONDS = 30.0
_MOST_DOWN_SECONDS = 300.0
_NARROW_SECONDS = 60.0
_CAPTURES_AT_ONCE = 64


class Slots(Protocol):
    """What is asked of `system.sharedmemory.SharedSlots`."""

    def acquire(self, process_index: int, key: str, limit: int) -> bool: ...
    def release(self, process_index: int, key: str) -> None: ...


def gate_key(shard_id: str, route: Route, destination: str) -> GateKey:
    """Where a delivery queues for a connection."""
    if isinstance(route, MxRoute):
        return shard_id, destination
    if isinstance(route, CaptureRoute):
        return "", f"capture:{route.folder or ''}"
    return shard_id, route.destination


class Held:
    """Memory that was reserved for a message, given back when its last delivery is finished."""

    __slots__ = ("left", "octets", "tenant_id")

    def __init__(self, tenant_id: str, octets: int, deliveries: int) -> None:
        self.tenant_id = tenant_id
        self.octets = octets
        self.left = deliveries


@dataclass(slots=True, eq=False)
class Entry:
    """A delivery in the relay's hands: at most `MAX_RECIPIENTS` recipients, one transaction."""

    delivery: Delivery
    location: str
    gate: GateKey
    held: Held | None = None


def split(delivery: Delivery, is_allowed: Callable[[str, str], bool]) -> list[Delivery]:
    """A delivery as one for each transaction: few enough recipients, all going the same way.

    Of non-production mail those for whom `is_allowed` (address, domain) go apart from the others.
    """
    groups = [delivery.recipients]
    if delivery.message.environment != "production":
        allowed = tuple(one for one in delivery.recipients if is_allowed(one.address, delivery.destination))
        groups = [allowed, tuple(one for one in delivery.recipients if one not in allowed)]
    pieces = [
        group[start : start + MAX_RECIPIENTS]
        for group in groups
        for start in range(0, len(group), MAX_RECIPIENTS)
    ]
    if len(pieces) == 1:
        return [delivery]
    return [replace(delivery, recipients=piece) for piece in pieces]


class Line:
    """One connection as its gate sees it: busy with an entry, or idle and waiting for one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, shard: ShardRecord) -> None:
        """`shard` as it was when the connection was opened: its source address, HELO and credentials."""
        self.shard = shard
        self._loop = loop
        self._next: asyncio.Future[tuple[Entry, Go] | None] | None = None
        self.connection: Connection | None = None
        self.idle_since = 0.0

    def expect(self, now: float) -> asyncio.Future[tuple[Entry, Go] | None]:
        """What to carry next, when it comes; None: close."""
        self.idle_since = now
        self._next = self._loop.create_future()
        return self._next

    def carry(self, entry: Entry, go: Go) -> None:
        """Give an idle connection something to carry."""
        self._answer((entry, go))

    def close(self) -> None:
        """An idle connection is no longer needed, or no longer there."""
        self._answer(None)

    def _answer(self, answer: tuple[Entry, Go] | None) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(answer)


class Gate:
    """The connections of this process to one destination for one shard.

    Until the first one has been opened there is one try at a time. A destination that cannot be
    reached is down for a while: nothing is tried, all that waits is deferred together. One that
    refuses *more* connections while it takes mail on others is narrowed to those for a minute.
    """

    def __init__(self, key: GateKey, most: int) -> None:
        self.key = key
        self.idle: list[Line] = []
        self.lines: set[Line] = set()
        self.captures = 0
        self.moved_at = float("-inf")
        self.starved = False
        self._most = most
        self._proven = False
        self._failures = 0
        self._down_until = 0.0
        self._narrow: tuple[float, int] | None = None
        self.failure: PeerReply | None = None

    def idle_line(self, shard: ShardRecord) -> Line | None:
        """An idle connection that was opened for the shard as it is now; others are closed."""
        while self.idle:
            line = self.idle.pop()
            if line.shard is shard or line.shard == shard:
                return line
            line.close()
        return None

    @property
    def is_unused(self) -> bool:
        """Whether it holds nothing."""
        return not self.lines and not self.captures

    def is_down(self, now: float) -> bool:
        """Whether the destination was found unreachable a moment ago."""
        return now < self._down_until

    def may_open(self, now: float) -> bool:
        """Whether this process may try to open one more connection."""
        if not self._proven:
            return not self.lines
        if self._narrow is not None:
            until, most = self._narrow
            if now < until:
                return len(self.lines) < most
            self._narrow = None
        return len(self.lines) < self._most

    def is_ready(self, now: float) -> bool:
        """Whether an entry could be carried, as far as this process knows."""
        return bool(self.idle) or self.is_down(now) or self.may_open(now)

    def may_capture(self) -> bool:
        """Whether another file may be written at the same time."""
        return self.captures < _CAPTURES_AT_ONCE

    def opened(self) -> None:
        """A connection stands: the destination works."""
        self._proven = True
        self._failures = 0
        self.failure = None

    def refused_more(self, now: float) -> bool:
        """A connection failed while others stand: no more than those for a minute. Else False."""
        others = len(self.lines) - 1
        if not self._proven or others < 1:
            return False
        self._narrow = (now + _NARROW_SECONDS, others)
        return True

    def failed(self, reply: PeerReply, now: float) -> None:
        """No connection can be had: leave it alone for a while, longer each time."""
        self._proven = False
        self._failures += 1
        self.failure = reply
        self._down_until = now + min(_DOWN_SECONDS * 2 ** (self._failures - 1), _MOST_DOWN_SECONDS)


class Gates:
    """All gates of this process, and their share of the node's connections."""

    def __init__(self, slots: Slots, process_index: int, processes: int, most: int) -> None:
        """`most` connections a gate in all `processes` together; each leaves one for every other."""
        self._slots = slots
        self._process_index = process_index
        self._most = most
        self._most_here = max(1, most - (processes - 1))
        self._gates: dict[GateKey, Gate] = {}

    def __iter__(self) -> Iterator[Gate]:
        return iter(list(self._gates.values()))

    def get(self, key: GateKey) -> Gate:
        """The gate of a key, made if need be."""
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(key, self._most_here)
        return gate

    def take_slot(self, gate: Gate, line: Line) -> bool:
        """Count one more connection, unless the node has all it may."""
        if not self._slots.acquire(self._process_index, _slot_name(gate.key), self._most):
            gate.starved = True
            return False
        gate.lines.add(line)
        return True

    def give_slot(self, gate: Gate, line: Line) -> None:
        """A connection is gone."""
        gate.lines.discard(line)
        self._slots.release(self._process_index, _slot_name(gate.key))

    def forget_unused(self, now: float) -> None:
        """Drop the gates of which nothing need be remembered."""
        for key, gate in list(self._gates.items()):
            if gate.is_unused and not gate.starved and not gate.is_down(now):
                del self._gates[key]


def _slot_name(key: GateKey) -> str:
    return f"relay\0{key[0]}\0{key[1]}"
