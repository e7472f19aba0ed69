"""The relay of one worker process: takes queued mail onward and reports one outcome a recipient."""

from __future__ import annotations

import asyncio
import random as randomness
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from gateway.mail.reply import Refusal
from gateway.outgoing.queue.values import Delivery
from gateway.outgoing.relay.attempts import Attempts
from gateway.outgoing.relay.capture import CaptureWriter
from gateway.outgoing.relay.channel import Timeouts
from gateway.outgoing.relay.clearance import (
    Clearance,
    ControlView,
    OpenCredentials,
    Preparation,
    ReturnPathMaker,
    Signing,
)
from gateway.outgoing.relay.connection import Connector
from gateway.outgoing.relay.dispatch import Bounds, Dispatcher, Tools
from gateway.outgoing.relay.gates import Gates, Held, Slots
from gateway.outgoing.relay.hosts import Hosts
from gateway.outgoing.relay.ledger import DotLedger
from gateway.outgoing.relay.memory import TENANT_OCTETS, TOTAL_OCTETS, Budget
from gateway.outgoing.relay.opener import Opener
from gateway.outgoing.relay.recorder import Recorder, Recording
from gateway.outgoing.relay.reports import WriteReport
from gateway.outgoing.relay.settlement import RelayMetrics, Settlement
from gateway.outgoing.signing import still_stands
from gateway.system.clock import Clock
from gateway.system.database import DatabaseAway
from gateway.system.dns import Resolver

_TICK_SECONDS = 0.25
_CLAIM_SECONDS = 1.0
_LATE_SECONDS = 30.0
_LATE_ROWS = 100
_CLAIM_ROWS = 400
_SIGNERS = 2
_LEAST_PAUSE_SECONDS = 0.02
_LEAST_RECORDING_SECONDS = 5.0


class Store(Recording, Protocol):
    """What the relay asks of a location's `QueueStore`."""

    async def claim(
        self,
        limit: int,
        *,
        paused_shards: Collection[str] = (),
        suspended_tenants: Collection[str] = (),
        skip_tenants: Collection[str] = (),
        skip_lanes: Collection[tuple[str, str]] = (),
    ) -> list[Delivery]:
        """Own at most `limit` due rows, in fair order. Raises DatabaseAway."""
        ...

    async def claim_late(self, limit: int) -> list[Delivery]:
        """Own rows whose delay is to be told or whose life is over. Raises DatabaseAway."""
        ...

    def adopt_with(self, adopter: Callable[[Sequence[Delivery]], None]) -> None:
        """Whom to give deliveries whose coroutine was cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What the configuration says about the relay.

    `own_names`: names under which this installation receives mail, in lower case (loops).
    `allowed_recipients`: who may get non-production mail: addresses or domains, lower case.
    `allow_private`: whether mail exchangers may have addresses that are not public.
    """

    hostname: str
    capture_folder: Path
    run_folder: Path
    incarnation: str
    own_names: frozenset[str] = frozenset()
    allowed_recipients: frozenset[str] = frozenset()
    port: int = 25
    allow_private: bool = False
    ca_file: Path | None = None
    process_index: int = 0
    processes: int = 1
    connections: int = 8
    """For one shard and destination, in all processes of the node together."""
    memory_octets: int = TOTAL_OCTETS
    tenant_octets: int = TENANT_OCTETS
    timeouts: Timeouts = field(default_factory=Timeouts)
    bounds: Bounds = field(default_factory=Bounds)


class Relay:
    """Carries what the queues of `stores` (by location) hand over or have due.

    The way of one message: `reserve` memory for it, store it, then `hand_over` its deliveries, or
    `release` if there are none. What finds no memory is claimed from the database later, in the
    same fair order. All methods belong to the event loop that called `start`.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        control: ControlView,
        signer: Signing,
        return_paths: ReturnPathMaker,
        open_credentials: OpenCredentials,
        resolver: Resolver,
        slots: Slots,
        write_report: WriteReport,
        clock: Clock,
        settings: RelaySettings,
        *,
        metrics: RelayMetrics | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        """Makes the dot ledger's file: raises OSError."""
        self._stores = stores
        self._control = control
        self._clock = clock
        self._memory = Budget(settings.memory_octets, settings.tenant_octets)
        self._ledger = DotLedger(settings.run_folder, settings.incarnation)
        self._threads = ThreadPoolExecutor(_SIGNERS, thread_name_prefix="relay-sign")
        self._captures = CaptureWriter()
        self._recorders = {
            location: Recorder(store, self._ledger, partial(self._adopt, location))
            for location, store in stores.items()
        }
        self._settlement = Settlement(self._recorders, write_report, clock, random, metrics)
        clearance = Clearance(control, open_credentials, allowed_recipients=settings.allowed_recipients)
        preparation = Preparation(control, signer, still_stands, return_paths, self._threads)
        self._wake = asyncio.Event()
        self._with_more: set[str] = set()
        tools = self._tools(clearance, preparation, _hosts(resolver, settings), slots, settings, metrics)
        self._dispatcher = Dispatcher(tools, settings.bounds, self._when_low)
        self._stopping = False
        self._ticker: asyncio.Task[None] | None = None
        self._claimers: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger("gateway.outgoing.relay")

    def _tools(
        self,
        clearance: Clearance,
        preparation: Preparation,
        hosts: Hosts,
        slots: Slots,
        settings: RelaySettings,
        metrics: RelayMetrics | None,
    ) -> Tools:
        """The parts that carry, put together."""
        attempts = Attempts(
            clearance,
            preparation,
            self._settlement,
            self._ledger,
            self._captures,
            settings.capture_folder,
            self._clock,
            metrics,
        )
        connector = Connector(settings.timeouts, self._clock.monotonic, settings.ca_file)
        return Tools(
            control=self._control,
            clearance=clearance,
            attempts=attempts,
            settlement=self._settlement,
            opener=Opener(hosts, connector, settings.hostname, metrics),
            gates=Gates(slots, settings.process_index, settings.processes, settings.connections),
            ledger=self._ledger,
            memory=self._memory,
            clock=self._clock,
        )

    def start(self) -> None:
        """Begin to claim and to carry."""
        for location, store in self._stores.items():
            store.adopt_with(partial(self._adopt, location))
        loop = asyncio.get_running_loop()
        self._ticker = loop.create_task(self._ticking())
        self._claimers = [
            loop.create_task(self._claiming(location, store)) for location, store in self._stores.items()
        ]

    def reserve(self, tenant_id: str, octets: int) -> bool:
        """Whether a message of `octets` may be handed over from memory; its room is taken if so.

        Either `hand_over` or `release` with the same numbers must follow.
        """
        return not self._stopping and self._memory.reserve(tenant_id, octets)

    def release(self, tenant_id: str, octets: int) -> None:
        """Give back what `reserve` took: the message was refused, or nothing of it was handed over."""
        self._memory.release(tenant_id, octets)

    def hand_over(self, deliveries: Sequence[Delivery], location: str) -> None:
        """Carry these now: one message's deliveries, for which `reserve` took its `size`."""
        if not deliveries:
            return
        message = deliveries[0].message
        self._dispatcher.take_in(deliveries, location, Held(message.tenant_id, message.size, 0))

    def wake(self) -> None:
        """Something may be due: a hint. Losing one costs a second."""
        self._wake.set()

    async def drain(self, seconds: float = 20.0) -> None:
        """Finish what runs within `seconds`, hand back the rest, write all outcomes.

        Call it after intake has stopped and before the stores do; a second call does nothing.
        """
        if self._stopping:
            return
        self._stopping = True
        await _end(self._claimers)
        await self._dispatcher.drain(seconds)
        try:
            async with asyncio.timeout(max(seconds, _LEAST_RECORDING_SECONDS)):
                await self._settlement.finish()
        except TimeoutError:
            # The database is away. The ledger keeps what may repeat, recovery frees the rows.
            self._settlement.abandon()
            self._log.error("outcomes_not_recorded", why="the database did not answer while stopping")
        if self._ticker is not None:
            await _end([self._ticker])
        self._captures.close()
        self._threads.shutdown(wait=True)
        self._ledger.close()

    def _adopt(self, location: str, deliveries: Sequence[Delivery]) -> None:
        """Rows that are ours although nobody asked for them just now: reports, cancelled requests."""
        self._dispatcher.take_in(deliveries, location)

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                self._dispatcher.tick()
            except Exception:  # noqa: BLE001 - without the tick nothing that hangs is ever cut off
                self._log.exception("tick_failed")

    async def _claiming(self, location: str, store: Store) -> None:
        look_late_at = 0.0
        while not self._stopping:
            try:
                await self._claim(location, store)
                if self._clock.monotonic() >= look_late_at:
                    found = await store.claim_late(_LATE_ROWS)
                    self._adopt(location, found)
                    pause = 0.0 if len(found) >= _LATE_ROWS else _LATE_SECONDS
                    look_late_at = self._clock.monotonic() + pause
            except (DatabaseAway, Refusal) as error:
                self._log.warning("claim_failed", location=location, error=str(error))
            except Exception:  # noqa: BLE001 - or the location's mail would lie until the next start
                self._log.exception("claim_failed_unexpectedly", location=location)
            # However many hints come, the database is asked at most so often.
            await asyncio.sleep(_LEAST_PAUSE_SECONDS)
            await self._until_woken()

    async def _claim(self, location: str, store: Store) -> None:
        """Claim as much as there is room for."""
        claimable = self._dispatcher.claimable()
        rows = min(claimable.rows, _CLAIM_ROWS)
        if not rows or not self._control.is_fresh():
            return
        found = await store.claim(
            rows,
            paused_shards=self._control.paused_shards(),
            suspended_tenants=self._control.suspended_tenants(),
            skip_tenants=claimable.full_tenants,
            skip_lanes=claimable.full_lanes,
        )
        if sum(len(delivery.recipients) for delivery in found) >= rows:
            self._with_more.add(location)
        else:
            self._with_more.discard(location)
        self._adopt(location, found)

    def _when_low(self) -> None:
        if self._with_more:
            self._wake.set()

    async def _until_woken(self) -> None:
        try:
            async with asyncio.timeout(_CLAIM_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _hosts(resolver: Resolver, settings: RelaySettings) -> Hosts:
    return Hosts(
        resolver,
        own_names=settings.own_names,
        port=settings.port,
        allow_private=settings.allow_private,
    )
