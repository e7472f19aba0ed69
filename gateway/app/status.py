"""The installation at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import __version__
from gateway.faces.api.parts import Status

if TYPE_CHECKING:
    from gateway.app.desk import OpenedDesk
    from gateway.control.records import Actor


def status_of(desk: OpenedDesk, actor: Actor) -> Status:
    """How much there is of everything that the caller may see, and the queue by state."""
    counts = desk.services.overview.counts(actor)
    return Status(
        version=__version__,
        tenants=counts.tenants,
        workspaces=counts.workspaces,
        accounts=counts.accounts,
        domains=counts.domains,
        shards=counts.shards,
        queue=desk.queue.pages.counts(actor),
    )
