"""Who is served next: weighted round robin over tenants, then streams, then lanes.

Pure: no clock, no I/O. A *lane* is shard × recipient domain. A *gate* is what limits connections
(shard × destination, where the destination of a smarthost is the host): without a smarthost every
lane has a gate of its own, with one all lanes of a shard share it. A shut gate takes its lanes out
of the rotation, so that they never stand in the way of others.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.outgoing.relay.turns import Member, Turns

T = TypeVar("T")

_SWEEP_TENANTS = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where something waits. Weights are at least 1; the latest one seen for a key counts."""

    tenant: str
    stream: str
    gate: Hashable
    lane: Hashable
    tenant_weight: int = 1
    stream_weight: int = 1


class _Door(Generic[T]):
    """The lanes of one gate inside one stream of one tenant: served in turn."""

    __slots__ = ("lanes",)

    def __init__(self) -> None:
        self.lanes: OrderedDict[Hashable, deque[T]] = OrderedDict()

    def push(self, lane: Hashable, item: T, first: bool) -> None:
        waiting = self.lanes.get(lane)
        if waiting is None:
            waiting = self.lanes[lane] = deque()
        if first:
            waiting.appendleft(item)
        else:
            waiting.append(item)

    def pop(self) -> T:
        lane, waiting = next(iter(self.lanes.items()))
        item = waiting.popleft()
        if waiting:
            self.lanes.move_to_end(lane)
        else:
            del self.lanes[lane]
        return item


class _Stream(Member, Generic[T]):
    """One stream of one tenant: all its doors, and the open ones in turn."""

    __slots__ = ("doors", "open")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.doors: dict[Hashable, _Door[T]] = {}
        self.open: OrderedDict[Hashable, _Door[T]] = OrderedDict()


class _Tenant(Member, Generic[T]):
    """One tenant: all its streams, and those with an open door in turn."""

    __slots__ = ("streams", "turns")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.streams: dict[str, _Stream[T]] = {}
        self.turns = Turns()

    def is_empty(self) -> bool:
        return not any(stream.doors for stream in self.streams.values())


class FairQueue(Generic[T]):
    """Waiting items in fair order; no operation looks at more than one entry a stream and gate.

    It does not bound itself: `memory.Budget` does, before anything is pushed.
    """

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant[T]] = {}
        self._turns = Turns()
        self._gates: dict[Hashable, dict[tuple[str, str], None]] = {}
        self._shut: set[Hashable] = set()
        self._length = 0
        self._sweep_at = _SWEEP_TENANTS

    def __len__(self) -> int:
        return self._length

    def push(self, place: Place, item: T, *, first: bool = False) -> None:
        """Let `item` wait at `place`; `first`: before all others of its lane (it was taken too early)."""
        tenant = self._tenants.get(place.tenant)
        if tenant is None:
            tenant = self._new_tenant(place.tenant)
        tenant.weight = max(1, place.tenant_weight)
        stream = tenant.streams.get(place.stream)
        if stream is None:
            stream = tenant.streams[place.stream] = _Stream(place.stream)
        stream.weight = max(1, place.stream_weight)
        door = stream.doors.get(place.gate)
        if door is None:
            door = stream.doors[place.gate] = _Door()
            self._gates.setdefault(place.gate, {})[place.tenant, place.stream] = None
            if place.gate not in self._shut:
                self._enter(tenant, stream, place.gate)
        door.push(place.lane, item, first)
        self._length += 1

    def pop(self, may_run: Callable[[str], bool] | None = None) -> T | None:
        """The next item in fair order, or None if every gate with waiting items is shut.

        `may_run` may refuse a tenant for now; it keeps its place in the order.
        """
        first = self._turns.first()
        if first is None:
            return None
        if may_run is None or may_run(first.name):
            return self._pop_from(self._tenants[first.name])
        chosen = next((member.name for member in self._turns.in_order() if may_run(member.name)), None)
        return None if chosen is None else self._pop_from(self._tenants[chosen])

    def shut(self, gate: Hashable) -> None:
        """Nothing of this gate is served until `unshut`."""
        if gate in self._shut:
            return
        self._shut.add(gate)
        for tenant_name, stream_name in self._gates.get(gate, ()):
            tenant = self._tenants[tenant_name]
            self._leave(tenant, tenant.streams[stream_name], gate)

    def unshut(self, gate: Hashable) -> None:
        """The gate may be served again."""
        if gate not in self._shut:
            return
        self._shut.discard(gate)
        for tenant_name, stream_name in self._gates.get(gate, ()):
            tenant = self._tenants[tenant_name]
            self._enter(tenant, tenant.streams[stream_name], gate)

    def waits_at(self, gate: Hashable) -> bool:
        """Whether anything waits at the gate, shut or not."""
        return gate in self._gates

    def take_gate(self, gate: Hashable) -> list[T]:
        """Everything that waits at one gate, out of the queue: its destination cannot be reached."""
        taken: list[T] = []
        for tenant_name, stream_name in list(self._gates.get(gate, ())):
            tenant = self._tenants[tenant_name]
            stream = tenant.streams[stream_name]
            for waiting in stream.doors[gate].lanes.values():
                taken.extend(waiting)
            self._remove_door(tenant, stream, gate)
        self._length -= len(taken)
        return taken

    def take_all(self) -> list[T]:
        """Everything, out of the queue: the relay stops."""
        return [item for gate in list(self._gates) for item in self.take_gate(gate)]

    def lanes(self) -> Iterator[tuple[Hashable, int]]:
        """Each lane and how much waits in it."""
        for tenant in self._tenants.values():
            for stream in tenant.streams.values():
                for door in stream.doors.values():
                    for lane, waiting in door.lanes.items():
                        yield lane, len(waiting)

    def _pop_from(self, tenant: _Tenant[T]) -> T:
        next_stream = tenant.turns.first()
        assert next_stream is not None, "a tenant has turns only while one of its doors is open"
        stream = tenant.streams[next_stream.name]
        gate, door = next(iter(stream.open.items()))
        item = door.pop()
        self._length -= 1
        stream.open.move_to_end(gate)
        tenant.turns.served(stream)
        self._turns.served(tenant)
        if not door.lanes:
            self._remove_door(tenant, stream, gate)
        return item

    def _enter(self, tenant: _Tenant[T], stream: _Stream[T], gate: Hashable) -> None:
        stream.open[gate] = stream.doors[gate]
        tenant.turns.enter(stream)
        self._turns.enter(tenant)

    def _leave(self, tenant: _Tenant[T], stream: _Stream[T], gate: Hashable) -> None:
        stream.open.pop(gate, None)
        if not stream.open:
            tenant.turns.leave(stream)
        if tenant.turns.first() is None:
            self._turns.leave(tenant)

    def _remove_door(self, tenant: _Tenant[T], stream: _Stream[T], gate: Hashable) -> None:
        self._leave(tenant, stream, gate)
        del stream.doors[gate]
        at_gate = self._gates[gate]
        del at_gate[tenant.name, stream.name]
        if not at_gate:
            del self._gates[gate]

    def _new_tenant(self, name: str) -> _Tenant[T]:
        """A tenant stays known after its last item, or it would jump the queue with each new one."""
        if len(self._tenants) >= self._sweep_at:
            self._tenants = {key: tenant for key, tenant in self._tenants.items() if not tenant.is_empty()}
            self._sweep_at = max(_SWEEP_TENANTS, 2 * len(self._tenants))
        tenant = self._tenants[name] = _Tenant(name)
        return tenant
