"""The installation at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway import __version__

if TYPE_CHECKING:
    from gateway.app.desk import OpenedDesk
    from gateway.control.records import Actor


def status_of(desk: OpenedDesk, actor: Actor) -> dict[str, Any]:
    """How much there is of everything that the caller may see, and the queue by state."""
    counts: dict[str, int] = {}
    for row in desk.queue.list("live", tenant_id=actor.tenant_id, limit=100_000):
        counts[row.state] = counts.get(row.state, 0) + 1
    return {
        "version": __version__,
        "tenants": len(desk.services.tenants.list(actor)),
        "domains": len(desk.services.domains.list(actor)),
        "shards": len(desk.services.shards.list(actor)),
        "queue": counts,
    }
