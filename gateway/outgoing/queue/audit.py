"""Audit rows in a location's database, in the transaction of the change they tell of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.control.audit.head import Head, head_seal
from gateway.control.audit.model import AuditEntryRow
from gateway.control.transaction import canonical, chain_hash, payload_hash
from gateway.outgoing.queue import tables
from gateway.system.ids import IdSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from gateway.control.records import Actor


class LocationAudit:
    """Appends to the location's chain; the last thing of a transaction, as it locks the chain's head."""

    def __init__(self, ids: IdSource, key: bytes) -> None:
        """`key` is the HMAC key of the chain, as for the control database's."""
        self._ids = ids
        self._key = key

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
        """One entry. `resource` is its kind, id and tenant (None: nobody's)."""
        head = self._lock(connection)
        old, new = (canonical(dict(payload)) if payload is not None else None for payload in (before, after))
        kind, resource_id, tenant_id = resource
        entry = AuditEntryRow(
            number=head.number + 1,
            id=self._ids.uuid(),
            at=now,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_address=actor.address,
            operation=operation,
            resource_kind=kind,
            resource_id=resource_id,
            tenant_id=tenant_id,
            request_id=actor.request_id,
            previous_hash=head.hash,
            payload_hash=payload_hash(old, new),
        )
        entry.chain_hash = chain_hash(self._key, entry)
        columns = [column.name for column in tables.audit_entries.columns]
        connection.execute(
            sa.insert(tables.audit_entries).values({name: getattr(entry, name) for name in columns})
        )
        connection.execute(
            sa.insert(tables.audit_payloads).values(number=entry.number, before=old, after=new)
        )
        moved = head.moved(self._key, entry.number, entry.chain_hash)
        connection.execute(sa.update(tables.audit_head).values(dataclasses.asdict(moved)))

    def _lock(self, connection: Connection) -> Head:
        head = sa.select(tables.audit_head).with_for_update()
        row = connection.execute(head).first()
        if row is None:
            insert = sa.text(
                "INSERT INTO audit_head (id, number, hash, seal) VALUES (1, 0, '', :seal) "
                "ON CONFLICT (id) DO NOTHING"
            )
            connection.execute(insert, {"seal": head_seal(self._key, 0, "")})
            row = connection.execute(head).one()
        return Head(row.number, row.hash, row.seal)
