"""Every record that should stand in the platform's zones now, from the control database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.dnsrecords import domain_records, in_fixed_set, shard_records
from gateway.control.domains.facts import DomainFacts, PlatformFacts, domain_facts, platform_facts
from gateway.control.domains.keyrecords import key_records
from gateway.control.domains.model import DomainRow
from gateway.control.domains.platformrecords import common_records
from gateway.control.domains.publishing.values import PLATFORM, RecordKey, Wanted
from gateway.control.domains.view import RecordView
from gateway.control.keys.model import KeyRow, published_keys
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow

_AFTERLIFE_SECONDS = 14 * 86_400.0
"""How long the names of a retired shard stay: what it has queued leaves within days, bounces come later."""


def desired(
    session: Session, settings: ControlSettings, now: float, owners: Collection[str] | None = None
) -> Iterator[Wanted]:
    """What these owners (None: all) should have; `now` in seconds since 1970. Each name and type once."""
    platform = platform_facts(session)
    ids = None if owners is None else set(owners) - {PLATFORM}
    if owners is None or PLATFORM in owners:
        yield from merged(common_records(platform, settings), PLATFORM, None)
    for facts in domain_facts(session, ids):
        yield from of_domain(facts, platform, settings)
    for shard, domain in _other_shards(session, now, ids):
        fixed = domain is not None and in_fixed_set(domain, settings)
        records = [] if fixed else shard_records(shard, domain, platform, settings)
        if domain is not None:
            # What it has queued is signed as it leaves.
            keys = session.scalars(published_keys().where(KeyRow.shard_id == shard.id).order_by(KeyRow.id))
            records += key_records(domain, keys.all(), (), settings)
        yield from merged(records, shard.domain_id or shard.id, shard.tenant_id)


def of_domain(facts: DomainFacts, platform: PlatformFacts, settings: ControlSettings) -> Iterator[Wanted]:
    """What a domain should have in the platform's zones."""
    domain = facts.domain
    if domain.state == "expired":
        return
    records = domain_records(facts, platform, settings)
    if in_fixed_set(domain, settings):
        records = tuple(record for record in records if record.purpose == "dkim")
    yield from merged(records, domain.id, domain.tenant_id)


def merged(records: Iterable[RecordView], owner: str, tenant_id: str | None) -> Iterator[Wanted]:
    """The platform's records among these, all values of a name and type in one."""
    values: dict[RecordKey, set[str]] = {}
    for record in records:
        if record.publisher == "platform":
            values.setdefault(RecordKey(record.name, record.type), set()).add(record.value)
    for key, found in values.items():
        yield Wanted(key, tuple(sorted(found)), owner, tenant_id)


def _other_shards(
    session: Session, now: float, ids: Collection[str] | None
) -> Iterator[tuple[ShardRow, DomainRow | None]]:
    """Shards under no domain, and those that retired lately, with the domain that they lie under."""
    lately = sa.and_(ShardRow.state == "retired", ShardRow.updated_at > now - _AFTERLIFE_SECONDS)
    alone = sa.and_(ShardRow.domain_id.is_(None), ShardRow.state != "retired")
    statement = sa.select(ShardRow, DomainRow).outerjoin(DomainRow, DomainRow.id == ShardRow.domain_id)
    statement = statement.where(sa.or_(lately, alone)).order_by(ShardRow.id)
    if ids is not None:
        statement = statement.where(sa.or_(ShardRow.id.in_(ids), ShardRow.domain_id.in_(ids)))
    for row in session.execute(statement):
        yield row[0], row[1]
