"""Erasing what an audit entry held, where the law wants it away: the entry stays, and so does who erased it.

The chain covers the hash of a payload. An entry `audit.erase` names the one whose payload is gone; a payload
that is missing without such an entry is a forgery.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from gateway.control.audit.chain import ERASE
from gateway.control.audit.entries import AuditView
from gateway.control.audit.head import CONTROL
from gateway.control.audit.model import AuditPayloadRow
from gateway.control.errors import Forbidden
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites
from gateway.system.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.audit.trail import AuditTrail


class LocationChain(Protocol):
    """What appends to the chain of a location."""

    def append(
        self,
        connection: Connection,
        actor: Actor,
        operation: str,
        resource: tuple[str, str, str | None],
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        now: float,
    ) -> None:
        """One entry in a transaction that is going on."""
        ...


class AuditErasure:
    """The operator's: erases payloads in whichever database they are."""

    def __init__(
        self,
        trail: AuditTrail,
        writes: ControlWrites,
        locations: Mapping[str, Database],
        chain: LocationChain,
    ) -> None:
        """`locations` by the names that entries have; `chain` appends to any of them."""
        self._trail = trail
        self._writes = writes
        self._locations = dict(locations)
        self._chain = chain

    def erase(self, actor: Actor, reference: str, *, database: str | None = None, why: str = "") -> AuditView:
        """Erase before and after of an entry (its id, or its number in a `database`); erased before: nothing
        happens. Raises NotFound, Forbidden, Unavailable, DatabaseAway."""
        found = self._trail.show(actor, reference, database)
        if not actor.is_operator:
            raise Forbidden(
                "operator-only",
                "The audit is the operator's to keep.",
                "Ask the platform's operator.",
            )
        if found.is_erased:
            return found
        gone = sa.delete(AuditPayloadRow).where(AuditPayloadRow.number == found.number)
        after: dict[str, Any] = {"why": why}
        if found.database == CONTROL:
            with self._writes.change(actor) as change:
                change.session.execute(gone)
                change.audit(ERASE, "audit", found.id, tenant_id=found.tenant_id, before=None, after=after)
        else:
            place = ("audit", found.id, found.tenant_id)
            with self._locations[found.database].write() as connection:
                connection.execute(gone)
                self._chain.append(connection, actor, ERASE, place, None, after, self._writes.clock.now())
        return self._trail.show(actor, found.id, found.database)
