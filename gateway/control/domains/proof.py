"""What a proof changes, inside a transaction: the domain is its tenant's alone."""

from __future__ import annotations

from gateway.control.accounts.release import release_addresses
from gateway.control.domains.delegation import refuse_below_others
from gateway.control.domains.find import holder
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict
from gateway.control.shards.release import release_shards
from gateway.control.transaction import ControlChange


def hold(change: ControlChange, row: DomainRow, *, by: str) -> None:
    """Make the domain its tenant's alone: others lose the addresses and shards they made on their claims.

    Raises Conflict where another tenant holds it, or what it lies under, and has not delegated that.
    """
    other = holder(change.session, row.name)
    if other is not None and other.id != row.id:
        raise Conflict(
            "domain-held",
            f"{row.name} is held by another tenant of this installation.",
            "One tenant holds a domain at a time; the operator must take it from that tenant first.",
        )
    refuse_below_others(change.session, row.tenant_id, row.name)
    row.verified_at, row.verified_by = change.now, by
    release_addresses(change, row)
    release_shards(change, row)
