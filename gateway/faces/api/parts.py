"""What the API is given by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.apikeys.service import KnownKey
    from gateway.control.audit.erasure import AuditErasure
    from gateway.control.audit.trail import AuditTrail
    from gateway.control.doctor.values import Report
    from gateway.control.domains.publishing.service import PublishingService
    from gateway.control.events.feed import Feed
    from gateway.control.records import Actor
    from gateway.control.services import ControlServices
    from gateway.faces.api.cursors import CursorSeal
    from gateway.faces.api.explained import Explained
    from gateway.faces.api.rates import Rates
    from gateway.faces.api.streams import Streams
    from gateway.outgoing.composing import Send
    from gateway.outgoing.queue import QueueService
    from gateway.outgoing.simulation import Simulation
    from gateway.outgoing.usage.service import UsageService
    from gateway.outgoing.webhooks.service import DeliveryService
    from gateway.system.clock import Clock
    from gateway.system.ids import IdSource


@dataclass(frozen=True, slots=True)
class Status:
    """The installation at a glance, as far as the caller may see it; `queue`: recipients by state."""

    version: str
    tenants: int
    workspaces: int
    accounts: int
    domains: int
    shards: int
    queue: dict[str, int]


@dataclass(frozen=True, slots=True)
class ApiParts:
    """The services behind the operations. `note_use(key, address)` remembers a key's last use.

    `rates`: of keys; `failures`: of addresses that call without a valid one.
    `source_uri` is what events name as their source; `is_welcome`: whether a caller's key still lives.
    `public_url`: where others reach the API, without a final slash; None if they cannot.
    """

    services: ControlServices
    queue: QueueService
    clock: Clock
    ids: IdSource
    rates: Rates
    failures: Rates
    note_use: Callable[[KnownKey, str], None]
    explain: Callable[..., Explained]
    status: Callable[[Actor], Status]
    send: Send
    publishing: PublishingService
    simulate: Callable[..., Simulation]
    deliveries: DeliveryService
    audit: AuditTrail
    erasure: AuditErasure
    usage: UsageService
    feed: Feed
    source_uri: str
    streams: Streams
    is_welcome: Callable[[Actor], bool]
    doctor: Callable[[Actor, bool], Report]
    public_url: str | None
    cursors: CursorSeal
