"""How many deliveries are on their way at once, so that nobody's slow receiver holds up another's. Pure.

A webhook has a few places, its tenant some more, all together a fixed number. One whose last attempt
failed or took long is *troubled*: it gets one place, and all troubled ones together half of the whole,
however many of them somebody sets up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

SLOW_SECONDS = 5.0
"""An attempt that takes longer makes its webhook a troubled one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Places: of all, of all troubled ones together, of a tenant, of a webhook."""

    total: int = 128
    troubled: int = 64
    tenant: int = 16
    webhook: int = 4


class Slots:
    """Counts deliveries on their way. Used by one event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._webhooks: Counter[str] = Counter()
        self._tenants: Counter[str | None] = Counter()
        self._troubled: set[str] = set()
        self._troubled_places = 0
        self._places: dict[int, tuple[str, str | None, bool]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, delivery_id: int) -> bool:
        return delivery_id in self._places

    def taken_by(self, webhook_id: str) -> int:
        """How many deliveries of a webhook are on their way."""
        return self._webhooks[webhook_id]

    def free(self, webhook_id: str, tenant_id: str | None) -> int:
        """How many more deliveries of a webhook may start; `tenant_id` is its owner."""
        limits, troubled = self._limits, webhook_id in self._troubled
        rooms = [
            limits.total - len(self._places),
            limits.tenant - self._tenants[tenant_id],
            (1 if troubled else limits.webhook) - self._webhooks[webhook_id],
        ]
        if troubled:
            rooms.append(limits.troubled - self._troubled_places)
        return max(0, min(rooms))

    def take(self, delivery_id: int, webhook_id: str, tenant_id: str | None) -> None:
        """Start one; ask `free` before."""
        troubled = webhook_id in self._troubled
        self._places[delivery_id] = (webhook_id, tenant_id, troubled)
        self._webhooks[webhook_id] += 1
        self._tenants[tenant_id] += 1
        self._troubled_places += troubled

    def give_back(self, delivery_id: int, *, smooth: bool) -> None:
        """End one; `smooth`: it succeeded, and not slowly."""
        webhook_id, tenant_id, troubled = self._places.pop(delivery_id)
        self._webhooks -= Counter({webhook_id: 1})
        self._tenants -= Counter({tenant_id: 1})
        self._troubled_places -= troubled
        if smooth:
            self._troubled.discard(webhook_id)
        else:
            self._troubled.add(webhook_id)
