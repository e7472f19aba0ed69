"""Who is carried next, on which connection: the fair queue in front, the gates behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass

import structlog

from gateway.outgoing.queue.values import Delivery, Purpose
from gateway.outgoing.relay.attempts import Attempts
from gateway.outgoing.relay.clearance import Clearance, ControlView, Go, Later, Park
from gateway.outgoing.relay.connection import ConnectFailed, Connection
from gateway.outgoing.relay.crowd import Claimable, Crowd
from gateway.outgoing.relay.fair import FairQueue, Place
from gateway.outgoing.relay.gates import Entry, Gate, Gates, Held, Line, gate_key, split
from gateway.outgoing.relay.hosts import NoWay
from gateway.outgoing.relay.ledger import DotLedger
from gateway.outgoing.relay.memory import Budget
from gateway.outgoing.relay.opener import Opener
from gateway.outgoing.relay.replies import PeerReply
from gateway.outgoing.relay.routes import CaptureRoute, MxRoute, SmarthostRoute
from gateway.outgoing.relay.settlement import Settlement, no_attempt
from gateway.system.clock import Clock

_LEDGER_RESERVE = 64
_LEAST_SHARE = 4
_MOVING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a process does at the same time, and for how long."""

    attempts: int = 512
    """Transactions under way in this process."""
    messages_a_connection: int = 100
    low: int = 200
    """Entries waiting, below which more are claimed."""
    idle_seconds: float = 5.0
    """An unused connection is closed after so long: another process may want its place."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts that a dispatcher puts together."""

    control: ControlView
    clearance: Clearance
    attempts: Attempts
    settlement: Settlement
    opener: Opener
    gates: Gates
    ledger: DotLedger
    memory: Budget
    clock: Clock


class Dispatcher:
    """Holds deliveries in fair order and carries them as connections allow. Event loop only."""

    def __init__(self, tools: Tools, bounds: Bounds, when_low: Callable[[], None]) -> None:
        """`when_low` is called when few entries wait (`bounds.low`): there is room for more."""
        self._tools = tools
        self._bounds = bounds
        self._when_low = when_low
        self._fair: FairQueue[Entry] = FairQueue()
        self._crowd = Crowd()
        self._running: Counter[str] = Counter()
        self._attempts = 0
        self._stopping = False
        self._pumping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("gateway.outgoing.relay")

    @property
    def waiting(self) -> int:
        """Entries that wait for a connection."""
        return len(self._fair)

    @property
    def running(self) -> int:
        """Attempts under way."""
        return self._attempts

    def claimable(self) -> Claimable:
        """What to claim from the database, and what to leave there for now."""
        now = self._tools.clock.monotonic()
        return self._crowd.claimable(
            {gate.key for gate in self._tools.gates if now - gate.moved_at < _MOVING_SECONDS}
        )

    def take_in(self, deliveries: Iterable[Delivery], location: str, held: Held | None = None) -> None:
        """Deliveries whose rows this worker owns. `held.left` is set to the number of their entries."""
        entries = [entry for delivery in deliveries for entry in self._entries(delivery, location)]
        if held is not None:
            held.left = len(entries)
            if not entries:
                self._tools.memory.release(held.tenant_id, held.octets)
        for entry in entries:
            entry.held = held
            self._queue(entry)
        self.pump()

    def pump(self) -> None:
        """Carry what can be carried now."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._may_start():
                entry = self._fair.pop(self._may_run)
                if entry is None:
                    return
                self._crowd.left(entry)
                self._start(entry)
        finally:
            self._pumping = False
            if len(self._fair) <= self._bounds.low:
                self._when_low()

    def tick(self) -> None:
        """About four times a second: what takes too long, what stands idle, what wants a slot."""
        now = self._tools.clock.monotonic()
        for gate in self._tools.gates:
            for line in list(gate.lines):
                if line.connection is not None:
                    line.connection.channel.check()
            for line in list(gate.idle):
                if now - line.idle_since >= self._bounds.idle_seconds:
                    self._retire(gate, line)
            # Another process may have given a slot back, a narrow gate may have become wide again.
            gate.starved = False
            self._fair.unshut(gate.key)
        self._tools.gates.forget_unused(now)
        self._running = +self._running
        self.pump()

    async def drain(self, seconds: float) -> None:
        """Take nothing new, hand back what waits, let what runs finish for so long, then cut it off."""
        self._stopping = True
        for entry in self._fair.take_all():
            self._crowd.left(entry)
            self._tools.settlement.hand_back(entry)
            self._release(entry)
        for gate in self._tools.gates:
            for line in list(gate.idle):
                self._retire(gate, line)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for gate in self._tools.gates:
            for line in list(gate.lines):
                if line.connection is not None:
                    line.connection.cut("this gateway is stopping")
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=1.0)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    # Into the queue

    def _entries(self, delivery: Delivery, location: str) -> list[Entry]:
        parts = split(delivery, self._tools.clearance.is_allowed)
        return [Entry(part, location, self._gate_of(part)) for part in parts]

    def _gate_of(self, delivery: Delivery) -> tuple[str, str]:
        decision = self._tools.clearance.decide(delivery)
        if isinstance(decision, Go):
            return gate_key(delivery.shard_id, decision.route, delivery.destination)
        # It will be parked or deferred as soon as its turn comes.
        return delivery.shard_id, ""

    def _queue(self, entry: Entry, *, first: bool = False) -> None:
        if entry.delivery.purpose is Purpose.LATE:
            self._tools.settlement.late(entry)
            self._release(entry)
            return
        message = entry.delivery.message
        tenant_weight, stream_weight = self._tools.clearance.weights(message)
        lane = (entry.delivery.shard_id, entry.delivery.destination)
        place = Place(message.tenant_id, message.stream, entry.gate, lane, tenant_weight, stream_weight)
        self._fair.push(place, entry, first=first)
        self._crowd.joined(entry)

    # Out of the queue

    def _may_start(self) -> bool:
        return (
            not self._stopping
            and self._attempts < self._bounds.attempts
            and self._tools.ledger.room > _LEDGER_RESERVE
            and self._tools.control.is_fresh()
        )

    def _may_run(self, tenant_id: str) -> bool:
        """A tenant gets at most as much as is left to all others: there is always room for one more."""
        running = self._running[tenant_id]
        return running < max(_LEAST_SHARE, self._bounds.attempts - self._attempts)

    def _start(self, entry: Entry) -> None:
        decision = self._tools.clearance.decide(entry.delivery)
        if isinstance(decision, Park):
            self._tools.settlement.park(entry, decision.why)
            self._release(entry)
        elif isinstance(decision, Later):
            reply = PeerReply(451, f"{decision.enhanced} {decision.reason}".encode("ascii", "replace"))
            self._give_up(entry, reply)
        elif entry.gate != gate_key(entry.delivery.shard_id, decision.route, entry.delivery.destination):
            entry.gate = gate_key(entry.delivery.shard_id, decision.route, entry.delivery.destination)
            self._queue(entry)
        elif isinstance(decision.route, CaptureRoute):
            self._capture(entry, decision, decision.route)
        else:
            self._carry(entry, decision)

    def _capture(self, entry: Entry, go: Go, route: CaptureRoute) -> None:
        gate = self._tools.gates.get(entry.gate)
        gate.captures += 1
        if not gate.may_capture():
            self._fair.shut(gate.key)
        self._spawn(self._run_capture(gate, entry, go, route), entry)

    def _carry(self, entry: Entry, go: Go) -> None:
        gate = self._tools.gates.get(entry.gate)
        now = self._tools.clock.monotonic()
        if gate.is_down(now):
            self._give_up(entry, gate.failure or PeerReply(451, b"4.4.1 the destination is unreachable"))
            return
        idle = gate.idle_line(go.shard)
        if idle is not None:
            self._count(entry, 1)
            idle.carry(entry, go)
        else:
            line = Line(asyncio.get_running_loop(), go.shard)
            if not gate.may_open(now) or not self._tools.gates.take_slot(gate, line):
                self._queue(entry, first=True)
                self._fair.shut(gate.key)
                return
            self._spawn(self._run_line(gate, line, entry, go), entry)
        if not gate.is_ready(now):
            self._fair.shut(gate.key)

    def _spawn(self, work: Coroutine[None, None, None], entry: Entry) -> None:
        self._count(entry, 1)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What runs

    async def _run_capture(self, gate: Gate, entry: Entry, go: Go, route: CaptureRoute) -> None:
        try:
            await self._guarded(entry, self._tools.attempts.capture(entry, go, route.folder))
        finally:
            gate.captures -= 1
            self._finish(entry)
            self._fair.unshut(gate.key)
            self.pump()

    async def _run_line(self, gate: Gate, line: Line, entry: Entry, go: Go) -> None:
        """The life of one connection: opened for one entry, then carrying what fits."""
        try:
            connection = await self._connect(gate, entry, go)
            if connection is None:
                return
            line.connection = connection
            connection.channel.when_lost = lambda: self._retire(gate, line)
            self._fair.unshut(gate.key)
            self.pump()
            carried: tuple[Entry, Go] | None = (entry, go)
            while carried is not None:
                carried = await self._carry_on(gate, line, connection, *carried)
        finally:
            if line.connection is not None:
                line.connection.close()
            self._tools.gates.give_slot(gate, line)
            self._fair.unshut(gate.key)
            self.pump()

    async def _carry_on(
        self, gate: Gate, line: Line, connection: Connection, entry: Entry, go: Go
    ) -> tuple[Entry, Go] | None:
        """One transaction, and what to carry after it."""
        left = await self._guarded(
            entry, self._tools.attempts.send(entry, go, connection, lambda: self._stopping)
        )
        if left is not None:
            if entry.held is not None:
                entry.held.left += 1
            self._queue(left, first=True)
        self._finish(entry)
        gate.moved_at = self._tools.clock.monotonic()
        channel = connection.channel
        if self._stopping or not channel.is_usable:
            return None
        if channel.transactions >= self._bounds.messages_a_connection:
            return None
        waiting = line.expect(gate.moved_at)
        gate.idle.append(line)
        self._fair.unshut(gate.key)
        self.pump()
        return await waiting

    async def _connect(self, gate: Gate, entry: Entry, go: Go) -> Connection | None:
        """The best endpoint that answers; without one, all that waits at the gate is settled."""
        assert isinstance(go.route, MxRoute | SmarthostRoute), "a capture has no connection"
        try:
            connection = await self._tools.opener.open(go.shard, go.route, entry.delivery.destination)
        except NoWay as trouble:
            self._unreachable(gate, entry, trouble.reply)
        except ConnectFailed as trouble:
            self._unreachable(gate, entry, trouble.reply)
        except asyncio.CancelledError:
            self._tools.settlement.hand_back(entry)
            self._finish(entry)
            raise
        except Exception as trouble:  # noqa: BLE001 - the entry must be settled, whatever it was
            self._log.exception("connection_failed_unexpectedly", shard=go.shard.id, error=str(trouble))
            self._unreachable(gate, entry, PeerReply(451, b"4.3.0 internal error while connecting"))
        else:
            gate.opened()
            return connection
        return None

    def _unreachable(self, gate: Gate, entry: Entry, reply: PeerReply) -> None:
        now = self._tools.clock.monotonic()
        if self._stopping:
            self._tools.settlement.hand_back(entry)
            self._finish(entry)
            return
        if gate.refused_more(now):
            self._finish(entry, done=False)
            self._queue(entry, first=True)
            return
        if reply.code // 100 == 4:
            gate.failed(reply, now)
        self._tools.settlement.attempted(entry, no_attempt(entry, reply), None)
        self._finish(entry)
        for waiting in self._fair.take_gate(gate.key):
            self._crowd.left(waiting)
            self._give_up(waiting, reply)

    async def _guarded(self, entry: Entry, work: Awaitable[Entry | None]) -> Entry | None:
        """Whatever goes wrong in an attempt, its rows are settled: tried again later."""
        try:
            return await work
        except asyncio.CancelledError:
            self._tools.settlement.hand_back(entry)
            raise
        except Exception as trouble:  # noqa: BLE001 - the entry must be settled, whatever it was
            message = entry.delivery.message
            self._log.exception(
                "attempt_failed_unexpectedly",
                message_id=message.id,
                tenant_id=message.tenant_id,
                error=str(trouble),
            )
            reply = PeerReply(451, b"4.3.0 internal error during the attempt")
            self._tools.settlement.attempted(entry, no_attempt(entry, reply), None)
            return None

    # Book-keeping

    def _retire(self, gate: Gate, line: Line) -> None:
        """An idle connection is closed; one at work notices by itself."""
        if line in gate.idle:
            gate.idle.remove(line)
            line.close()

    def _give_up(self, entry: Entry, reply: PeerReply) -> None:
        self._tools.settlement.attempted(entry, no_attempt(entry, reply), None)
        self._release(entry)

    def _count(self, entry: Entry, by: int) -> None:
        self._attempts += by
        self._running[entry.delivery.message.tenant_id] += by

    def _finish(self, entry: Entry, *, done: bool = True) -> None:
        self._count(entry, -1)
        if done:
            self._release(entry)

    def _release(self, entry: Entry) -> None:
        held = entry.held
        if held is None:
            return
        held.left -= 1
        if held.left == 0:
            self._tools.memory.release(held.tenant_id, held.octets)
