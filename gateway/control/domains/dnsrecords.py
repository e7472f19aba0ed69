"""The DNS records that a domain and its shards need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import RecordView
from gateway.control.keys.material import record_name, record_value
from gateway.control.keys.model import KeyRow
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow

CHALLENGE_LABEL = "_gatepost-challenge"
_CHALLENGE_PREFIX = "gatepost-verification="
_PUBLISHED = ("pending", "active", "retiring", "revoked")


def records_of(session: Session, domain: DomainRow, settings: ControlSettings) -> tuple[RecordView, ...]:
    """What is to be published for a domain, in the order in which a person would."""
    keys = session.scalars(
        sa.select(KeyRow)
        .where(KeyRow.domain_id == domain.id, KeyRow.state.in_(_PUBLISHED))
        .order_by(KeyRow.id)
    ).all()
    shards = session.scalars(
        sa.select(ShardRow)
        .where(ShardRow.domain_id == domain.id, ShardRow.state != "retired")
        .order_by(ShardRow.name)
    ).all()
    publisher = "customer" if domain.kind == "custom" else "platform"
    records = [*_ownership(domain), *_receiving(domain, settings), *_keys(keys), _dmarc(domain)]
    for shard in shards:
        records += shard_records(session, shard, settings)
    if publisher == "customer":
        return tuple(records)
    return tuple(_by_platform(record) for record in records)


def ownership_record(domain: DomainRow) -> RecordView:
    """The record that proves who has the domain."""
    return RecordView(
        f"{CHALLENGE_LABEL}.{domain.name}", "TXT", _CHALLENGE_PREFIX + domain.challenge, "ownership"
    )


def shard_records(session: Session, shard: ShardRow, settings: ControlSettings) -> list[RecordView]:
    """A shard's return path: one CNAME to a platform name, which has its MX and an SPF for its sources."""
    target = f"{shard.id.replace('-', '')}.shards.{settings.hostname}"
    sources = session.scalars(sa.select(SourceRow).where(SourceRow.id == shard.source_id)).all()
    return [
        RecordView(shard.name, "CNAME", target, "return-path"),
        RecordView(target, "MX", f"10 {settings.hostname}", "return-path", publisher="platform"),
        RecordView(target, "TXT", _spf(sources, settings), "spf", publisher="platform"),
    ]


def _ownership(domain: DomainRow) -> list[RecordView]:
    return [ownership_record(domain)] if domain.kind == "custom" else []


def _receiving(domain: DomainRow, settings: ControlSettings) -> list[RecordView]:
    if domain.mode != "send-receive":
        return []
    return [RecordView(domain.name, "MX", f"10 {settings.hostname}", "mx")]


def _keys(keys: Sequence[KeyRow]) -> list[RecordView]:
    return [
        RecordView(
            record_name(key.selector, key.domain),
            "TXT",
            record_value(key.algorithm, "" if key.state == "revoked" else key.public_key),
            "dkim",
            required=key.state in ("pending", "active"),
        )
        for key in keys
    ]


def _dmarc(domain: DomainRow) -> RecordView:
    # A customer's own DMARC record is never to be replaced: any that is there will do.
    return RecordView(f"_dmarc.{domain.name}", "TXT", "v=DMARC1; p=none", "dmarc", required=False)


def _spf(sources: Sequence[SourceRow], settings: ControlSettings) -> str:
    terms = [f"ip4:{source.ipv4}" for source in sources if source.ipv4]
    terms += [f"ip6:{source.ipv6}" for source in sources if source.ipv6]
    # Without source addresses the system chooses one: those of our own name.
    return " ".join(["v=spf1", *(terms or [f"a:{settings.hostname}"]), "-all"])


def _by_platform(record: RecordView) -> RecordView:
    return replace(record, publisher="platform")
