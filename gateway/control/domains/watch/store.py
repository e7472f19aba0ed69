"""What the watch keeps in the default location's database: nothing here is a decision.

Looks are not changes of the control plane: they are written here, in batches, without an audit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.control.domains.watch.tables import history, watch
from gateway.control.domains.watch.values import Drift, Memory, RecordMemory
from gateway.system.database import Database

KEPT_SECONDS = 365 * 86_400.0
"""How long a change can be looked up."""

_MANY = 500
_PURGE = 1_000


class Book(Protocol):
    """Where what was seen is kept. Its methods block, and raise DatabaseAway."""

    def read(self, domain_id: str, tenant_id: str) -> Memory:
        """What is known of a domain; nothing, for one never looked at."""
        ...

    def save(self, entries: Sequence[tuple[Memory, Sequence[Drift]]]) -> None:
        """Replace what is known of domains, and add the changes that were seen, in one transaction.

        A look that ended before the one that is kept changes nothing.
        """
        ...

    def drifts(self, domain_id: str, tenant_id: str, limit: int) -> tuple[Drift, ...]:
        """The latest changes of a domain, the newest first."""
        ...


class WatchStore:
    """The watch's tables. Its methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, domain_id: str, tenant_id: str) -> Memory:
        """See Book."""
        query = sa.select(watch).where(watch.c.domain_id == domain_id, watch.c.tenant_id == tenant_id)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _memory(row) if row is not None else Memory(domain_id, tenant_id)

    def save(self, entries: Sequence[tuple[Memory, Sequence[Drift]]]) -> None:
        """See Book."""
        if not entries:
            return
        with self._database.write() as connection:
            kept = _looked_at(connection, [memory.domain_id for memory, _ in entries])
            fresh = [one for one in entries if not is_older(one[0], kept.get(one[0].domain_id))]
            if not fresh:
                return
            _forget(connection, [memory.domain_id for memory, _ in fresh])
            connection.execute(sa.insert(watch), [_row(memory) for memory, _ in fresh])
            rows = [_drift_row(memory, drift) for memory, drifts in fresh for drift in drifts]
            if rows:
                connection.execute(sa.insert(history), rows)

    def drifts(self, domain_id: str, tenant_id: str, limit: int) -> tuple[Drift, ...]:
        """See Book."""
        columns = history.c
        query = (
            sa.select(history)
            .where(columns.domain_id == domain_id, columns.tenant_id == tenant_id)
            .order_by(columns.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return tuple(_drift(row) for row in connection.execute(query))

    def due(self, now: float, limit: int) -> list[Memory]:
        """The domains whose next look is due, the longest due first."""
        query = sa.select(watch).where(watch.c.next_look_at <= now).order_by(watch.c.next_look_at)
        with self._database.read() as connection:
            return [_memory(row) for row in connection.execute(query.limit(limit))]

    def next_due(self) -> float | None:
        """When the next look is due, seconds since 1970; None if none is planned."""
        query = sa.select(sa.func.min(watch.c.next_look_at)).where(sa.text("next_look_at IS NOT NULL"))
        with self._database.read() as connection:
            due: float | None = connection.scalar(query)
        return due

    def known(self) -> set[str]:
        """The ids of all domains that there are rows of."""
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(watch.c.domain_id)))

    def enter(self, domains: Mapping[str, str], now: float) -> None:
        """Begin to watch domains, from ids to their tenants: each is due now."""
        with self._database.write() as connection:
            _forget(connection, list(domains))
            rows = [_row(Memory(one, tenant_id, next_look_at=now)) for one, tenant_id in domains.items()]
            connection.execute(sa.insert(watch), rows)

    def hasten(self, domain_ids: Collection[str], now: float) -> None:
        """Look at these now, if they are watched: what they should have is another."""
        if not domain_ids:
            return
        with self._database.write() as connection:
            for some in _portions(domain_ids):
                which = sa.and_(watch.c.domain_id.in_(some), watch.c.next_look_at > now)
                connection.execute(sa.update(watch).where(which).values(next_look_at=now, looks=0))

    def leave(self, domain_ids: Collection[str]) -> None:
        """Forget domains that are gone, and their history."""
        with self._database.write() as connection:
            _forget(connection, domain_ids)
            for some in _portions(domain_ids):
                connection.execute(sa.delete(history).where(history.c.domain_id.in_(some)))

    def purge(self, now: float) -> int:
        """Remove at most a thousand changes whose time is over; how many there were."""
        oldest = sa.select(history.c.id, history.c.at).order_by(history.c.id).limit(_PURGE)
        with self._database.write() as connection:
            old = [row.id for row in connection.execute(oldest) if row.at < now - KEPT_SECONDS]
            for some in _portions(old):
                connection.execute(sa.delete(history).where(history.c.id.in_(some)))
        return len(old)


def is_older(memory: Memory, looked_at: float | None) -> bool:
    """Whether a look ended before another one, of which `looked_at` tells."""
    return memory.looked_at is not None and looked_at is not None and memory.looked_at < looked_at


def _looked_at(connection: Connection, domain_ids: Collection[str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for some in _portions(domain_ids):
        query = sa.select(watch.c.domain_id, watch.c.looked_at).where(watch.c.domain_id.in_(some))
        found |= {row.domain_id: row.looked_at for row in connection.execute(query)}
    return found


def _forget(connection: Connection, domain_ids: Collection[str]) -> None:
    for some in _portions(domain_ids):
        connection.execute(sa.delete(watch).where(watch.c.domain_id.in_(some)))


def _portions(values: Collection[Any]) -> Iterable[list[Any]]:
    every = list(values)
    return (every[start : start + _MANY] for start in range(0, len(every), _MANY))


def _row(memory: Memory) -> dict[str, Any]:
    records = {key: asdict(known) for key, known in memory.records.items()}
    return {
        "domain_id": memory.domain_id,
        "tenant_id": memory.tenant_id,
        "records": json.dumps(records, separators=(",", ":")),
        "looks": memory.looks,
        "looked_at": memory.looked_at,
        "next_look_at": memory.next_look_at,
        "proved_at": memory.proved_at,
        "remarks": json.dumps(memory.remarks),
        "reason": memory.reason,
    }


def _memory(row: Any) -> Memory:
    records = {
        key: RecordMemory(**{**known, "found": tuple(known["found"])})
        for key, known in json.loads(row.records).items()
    }
    return Memory(
        row.domain_id,
        row.tenant_id,
        records,
        row.looks,
        row.looked_at,
        row.next_look_at,
        row.proved_at,
        tuple(json.loads(row.remarks)),
        row.reason,
    )


def _drift_row(memory: Memory, drift: Drift) -> dict[str, Any]:
    row = asdict(drift) | {"found": json.dumps(drift.found)}
    return {"domain_id": memory.domain_id, "tenant_id": memory.tenant_id, **row}


def _drift(row: Any) -> Drift:
    return Drift(
        row.at, row.name, row.type, row.purpose, row.before, row.after, tuple(json.loads(row.found)), row.hint
    )
