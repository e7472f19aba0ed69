"""What the control database says of the installation, read at once for all checks."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Source:
    """An address that mail leaves from. `tenants`: how many have shards on it."""

    helo: str
    address: str
    tenants: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs: where its record stands and what it says."""

    name: str
    value: str
    domain: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The installation. `keys`: at most MOST_KEYS of `key_count`. `direct`: shards that send to MX hosts.

    `receiving`: names of domains that receive. `pool`: DKIM keys waiting for trial domains, and all of them.
    """

    sources: tuple[Source, ...]
    keys: tuple[Key, ...]
    key_count: int
    direct: tuple[str, ...]
    receiving: tuple[str, ...]
    pool: tuple[int, int]


def read_facts(session: Session, settings: ControlSettings) -> Facts:
    """Everything that checks need."""
    signing = _signing()
    count = session.scalar(sa.select(sa.func.count()).select_from(signing.subquery())) or 0
    keys = session.scalars(signing.order_by(KeyRow.activated_at, KeyRow.id).limit(MOST_KEYS))
    receiving = sa.select(DomainRow.name).where(
        DomainRow.mode == "send-receive", DomainRow.state.in_(HELD), DomainRow.purge_at.is_(None)
    )
    direct = sa.select(ShardRow.name).where(ShardRow.route == "mx", ShardRow.state == "active")
    zone = settings.trial_zone
    waiting = session.scalar(sa.select(sa.func.count()).select_from(waiting_keys(zone).subquery())) or 0
    return Facts(
        sources=tuple(_sources(session)),
        keys=tuple(map(_key, keys)),
        key_count=count,
        direct=tuple(session.scalars(direct.order_by(ShardRow.name).limit(10))),
        receiving=tuple(session.scalars(receiving.order_by(DomainRow.name).limit(20))),
        pool=(waiting, pool_size(session, zone)) if settings.trial_selectors else (0, 0),
    )


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
