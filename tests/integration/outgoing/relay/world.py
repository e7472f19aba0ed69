"""A whole relay with a real queue, a real sink and a control plane that is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.control.directory import Refused, RefusedReason
from gateway.control.records import ShardRecord, TenantRecord
from gateway.outgoing.queue import NewMessage, QueueStore, Stored
from gateway.outgoing.relay import Bounds, DsnRequest, Relay, RelaySettings, Timeouts
from gateway.outgoing.shards import ReturnPaths
from gateway.outgoing.signing import NoSignature, Signatures
from gateway.system.clock import SystemClock
from gateway.system.database import Database
from gateway.system.dns import DnsAway, MxHost, NoSuchName, Resolver
from gateway.system.ids import IdSource
from gateway.system.sharedmemory import SharedSlots
from tests.integration.outgoing.queue.parts import new_message, new_recipient, running_store, states_of
from tests.support.sink import Script, Sink

QUICK = Timeouts(
    envelope=5.0, data=5.0, chunk=5.0, final=5.0, unanswered=0.3, connect=2.0, greeting=2.0, quit=1.0
)


def shard(**changes: Any) -> ShardRecord:
    values: dict[str, Any] = {
        "id": "shard-1",
        "name": "s1.acme.example",
        "tenant_id": "tenant-1",
        "environment": "production",
        "route": "mx",
        "weight": 1,
        "streams": frozenset(),
        "state": "active",
        "source": None,
        "sign": False,
        "created_at": 0.0,
    }
    return ShardRecord(**(values | changes))


class Control:
    """What the relay asks of the control plane."""

    def __init__(self) -> None:
        self.fresh = True
        self.tenants = {
            name: TenantRecord(name, name, "standard", "active", False, None)
            for name in ("tenant-1", "tenant-2")
        }
        self.shards = {
            "shard-1": shard(),
            "shard-2": shard(id="shard-2", name="s.two.example", tenant_id="tenant-2"),
        }
        self.keys: dict[str, Any] = {
            key: SimpleNamespace(id=key, state="active", domain_id="domain-1", shard_id=None)
            for key in ("key-1", "key-2")
        }
        self.suspended_accounts: set[str] = set()

    def change_shard(self, shard_id: str = "shard-1", **changes: Any) -> None:
        self.shards[shard_id] = replace(self.shards[shard_id], **changes)

    def change_tenant(self, tenant_id: str = "tenant-1", **changes: Any) -> None:
        self.tenants[tenant_id] = replace(self.tenants[tenant_id], **changes)

    def is_fresh(self) -> bool:
        return self.fresh

    def tenant(self, tenant_id: str) -> TenantRecord | None:
        return self.tenants.get(tenant_id)

    def shard(self, shard_id: str) -> ShardRecord | None:
        return self.shards.get(shard_id)

    def domain(self, name: str) -> Any:
        return SimpleNamespace(id="domain-1", name=name, tenant_id="tenant-1", kind="custom")

    def key(self, key_id: str) -> Any:
        return self.keys.get(key_id)

    def keys_of(self, domain_name: str) -> tuple[Any, ...]:
        return tuple(self.keys.values())

    def effective_policy(self, tenant_id: str, workspace_id: str) -> Any:
        raise LookupError

    def identity_now(self, account_id: str, credential_id: str | None, protocol: str | None = None) -> Any:
        if account_id in self.suspended_accounts:
            return Refused(RefusedReason.ACCOUNT_SUSPENDED)
        return SimpleNamespace()

    async def identity(self, account_id: str, credential_id: str | None, protocol: str | None = None) -> Any:
        raise AssertionError("identity_now knows everybody")

    def paused_shards(self) -> frozenset[str]:
        return frozenset(one.id for one in self.shards.values() if one.state == "paused")

    def suspended_tenants(self) -> frozenset[str]:
        return frozenset(one.id for one in self.tenants.values() if one.status != "active")


class Signer:
    """Signs with the key's name, or cannot."""

    def __init__(self) -> None:
        self.able = True

    def resign(self, header: Any, body_hash: bytes, keys: Any, now: float) -> Signatures:
        if not self.able or not keys:
            raise NoSignature("acme.example", "it has no active key")
        names = tuple(key.id for key in keys)
        return Signatures(f"X-Signed-By: {','.join(names)}\r\n".encode(), names, body_hash, now)


class Dns:
    """Answers from a dictionary: (name, kind) to values; None: no answer; missing: no such name."""

    def __init__(self, records: dict[tuple[str, str], Any]) -> None:
        self.records = records
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, name: str, kind: Any) -> tuple[tuple[object, ...], float]:
        self.asked.append((name, kind))
        if (name, kind) in self.records:
            values = self.records[name, kind]
            if values is None:
                raise DnsAway(name, kind, "SERVFAIL")
            return tuple(values), 60.0
        if any(known == name for known, _ in self.records):
            return (), 60.0
        raise NoSuchName(name)


class World:
    """One worker's relay, its store and what it talks to."""

    def __init__(self, store: QueueStore, relay: Relay, control: Control, sink: Sink, folder: Path) -> None:
        self.store = store
        self.relay = relay
        self.control = control
        self.sink = sink
        self.folder = folder
        self.reports: list[DsnRequest] = []
        self.signer = Signer()

    async def put(self, *addresses: str, hand_over: bool = True, **changes: Any) -> Stored:
        """Accept a message as intake does."""
        shard_id = changes.pop("shard_id", "shard-1")
        recipient_changes = changes.pop("recipient", {})
        reserved = False
        message = self.message(
            *addresses, hand_over=False, shard_id=shard_id, recipient=recipient_changes, **changes
        )
        if hand_over:
            reserved = self.relay.reserve(message.tenant_id, message.size)
            if reserved:
                marked = tuple(replace(one, hand_over=True) for one in message.recipients)
                message = replace(message, recipients=marked)
        stored = await self.store.add(message)
        if reserved and not stored.deliveries:
            self.relay.release(message.tenant_id, message.size)
        if stored.deliveries:
            self.relay.hand_over(stored.deliveries, "default")
        else:
            self.relay.wake()
        return stored

    def message(self, *addresses: str, hand_over: bool, **changes: Any) -> NewMessage:
        recipient_changes = changes.pop("recipient", {})
        shard_id = changes.pop("shard_id", "shard-1")
        recipients = [
            new_recipient(address, hand_over=hand_over, shard_id=shard_id, **recipient_changes)
            for address in addresses or ("b@example.net",)
        ]
        now = SystemClock().now()
        values = {"id": IDS.message_id(), "received_at": now, "give_up_at": now + 3 * 86_400, **changes}
        return new_message(*recipients, **values)

    def write_report(self, request: DsnRequest) -> NewMessage | None:
        self.reports.append(request)
        return self.message(
            request.message.reverse_path,
            hand_over=True,
            reverse_path="",
            origin="dsn",
            account_id=None,
            tenant_id="tenant-1",
        )

    async def until(self, holds: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait until something about what is stored holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)

    async def until_states(self, database: Database, *states: str, message_id: str | None = None) -> None:
        await self.until(lambda: sorted(states_of(database, message_id)) == sorted(states))


IDS = IdSource(SystemClock())


@asynccontextmanager
async def world(
    database: Database,
    folder: Path,
    script: Script | None = None,
    *,
    records: dict[tuple[str, str], Any] | None = None,
    control: Control | None = None,
    slots: SharedSlots | None = None,
    settings: dict[str, Any] | None = None,
    started: bool = True,
    drain_seconds: float = 5.0,
) -> AsyncIterator[World]:
    clock = SystemClock()
    control = control or Control()
    own_slots = slots or SharedSlots(1024, 2)
    async with Sink(script) as sink, running_store(database, folder / "blobs", clock=clock) as store:
        if records is None:
            records = {
                ("example.net", "MX"): [MxHost(10, "mx.example.net")],
                ("mx.example.net", "A"): ["127.0.0.1"],
            }
        values: dict[str, Any] = {
            "hostname": "gate.example",
            "capture_folder": folder / "captured",
            "run_folder": folder / "run",
            "incarnation": store.incarnation,
            "port": sink.port,
            "allow_private": True,
            "timeouts": QUICK,
            "bounds": Bounds(idle_seconds=1.0),
            "own_names": frozenset({"gate.example"}),
        }
        holder: list[World] = []
        signer = Signer()
        relay = Relay(
            {"default": store},
            control,
            signer,
            ReturnPaths({1: b"k" * 32}, 1),
            lambda _: None,
            Resolver(Dns(records), clock),
            own_slots,
            lambda request: holder[0].write_report(request),
            clock,
            RelaySettings(**(values | (settings or {}))),
        )
        the_world = World(store, relay, control, sink, folder)
        the_world.signer = signer
        holder.append(the_world)
        if started:
            relay.start()
        try:
            yield the_world
        finally:
            await relay.drain(drain_seconds)
    if slots is None:
        own_slots.close()
