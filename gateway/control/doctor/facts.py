"""What the control database says of the installation, read at once for all checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import HELD, DomainRow
from gateway.control.keys.material import record_name, record_value
from gateway.control.keys.model import KeyRow
from gateway.control.keys.pool import pool_size, waiting_keys
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.model import TenantRow

MOST_KEYS = 500
"""Keys that are looked up in one run; of more, those that have signed longest."""
MOST_POLICIES = 20
"""Domains whose announced MTA-STS policies are fetched in one run."""


@dataclass(frozen=True, slots=True)
class Source:
    """An address that mail leaves from. `tenants`: how many have shards on it."""

    helo: str
    address: str
    tenants: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs or waits to: where its record stands and what it says."""

    name: str
    value: str
    domain: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The installation. `keys`: those that sign, at most MOST_KEYS of `key_count`, unless all were asked for.

    `direct`: shards that send to MX hosts. `receiving`: names of domains that receive, of `receiving_count`.
    `pool`: DKIM keys waiting for trial domains, and how many there are with those that are handed out;
    `waiting`: those that wait.
    """

    sources: tuple[Source, ...]
    keys: tuple[Key, ...]
    key_count: int
    direct: tuple[str, ...]
    receiving: tuple[str, ...]
    receiving_count: int
    pool: tuple[int, int]
    waiting: tuple[Key, ...] = ()


def read_facts(session: Session, settings: ControlSettings, *, everything: bool = False) -> Facts:
    """What checks need; `everything`: without a bound on keys and domains."""
    signing = _signing()
    keys = signing.order_by(KeyRow.activated_at, KeyRow.id).limit(None if everything else MOST_KEYS)
    receiving = sa.select(DomainRow.name).where(
        DomainRow.mode == "send-receive", DomainRow.state.in_(HELD), DomainRow.purge_at.is_(None)
    )
    direct = sa.select(ShardRow.name).where(ShardRow.route == "mx", ShardRow.state == "active")
    policies = receiving.order_by(DomainRow.name).limit(None if everything else MOST_POLICIES)
    waiting = waiting_keys(settings.trial_zone)
    size = pool_size(session, settings.trial_zone) if settings.trial_selectors else 0
    return Facts(
        sources=tuple(_sources(session)),
        keys=tuple(map(_key, session.scalars(keys))),
        key_count=_count(session, signing),
        direct=tuple(session.scalars(direct.order_by(ShardRow.name).limit(10))),
        receiving=tuple(session.scalars(policies)),
        receiving_count=_count(session, receiving),
        pool=(_count(session, waiting) if size else 0, size),
        waiting=tuple(map(_key, session.scalars(waiting.order_by(KeyRow.id).limit(MOST_KEYS))))
        if size
        else (),
    )


def _count(session: Session, rows: sa.Select[Any]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(rows.subquery())) or 0


def _signing() -> sa.Select[KeyRow]:
    """The keys of domains that are held, and of shards that sign."""
    owner = sa.func.coalesce(KeyRow.domain_id, ShardRow.domain_id)
    statement = sa.select(KeyRow).outerjoin(ShardRow, ShardRow.id == KeyRow.shard_id)
    statement = statement.outerjoin(DomainRow, DomainRow.id == owner)
    held = sa.and_(DomainRow.state.in_(HELD), DomainRow.purge_at.is_(None))
    of_shard = sa.and_(ShardRow.sign, ShardRow.state != "retired", sa.or_(DomainRow.id.is_(None), held))
    signs = sa.or_(sa.and_(KeyRow.shard_id.is_(None), held), of_shard)
    return statement.where(KeyRow.state == "active", signs)


def _key(row: KeyRow) -> Key:
    return Key(record_name(row.selector, row.domain), record_value(row.algorithm, row.public_key), row.domain)


def _sources(session: Session) -> list[Source]:
    tenants = sa.select(ShardRow.source_id, sa.func.count(sa.distinct(ShardRow.tenant_id))).join(
        TenantRow, TenantRow.id == ShardRow.tenant_id
    )
    living = tenants.where(ShardRow.state != "retired", TenantRow.status != "deleting")
    counts = dict(session.execute(living.group_by(ShardRow.source_id)).all())
    rows = session.scalars(
        sa.select(SourceRow).where(SourceRow.state == "active").order_by(SourceRow.helo)
    ).all()
    return [
        Source(row.helo, address, counts.get(row.id, 0))
        for row in rows
        for address in (row.ipv4, row.ipv6)
        if address
    ]
