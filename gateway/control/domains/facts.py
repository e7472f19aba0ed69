"""What is known of domains, read at once: their keys, slots and shards, and the platform's addresses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.model import DomainRow
from gateway.control.keys.model import KeyRow, SlotRow, published_keys
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow

T = TypeVar("T")

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """A domain, its published keys (those of its shards too), its slots, and its shards that are in use."""

    domain: DomainRow
    keys: Sequence[KeyRow] = ()
    slots: Sequence[SlotRow] = ()
    shards: Sequence[ShardRow] = ()


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """The addresses that the platform sends from, by id."""

    sources: Mapping[str, SourceRow] = field(default_factory=dict)

    @property
    def active(self) -> list[SourceRow]:
        """Those that shards may take, by name."""
        return sorted((one for one in self.sources.values() if one.state == "active"), key=lambda s: s.helo)


def platform_facts(session: Session) -> PlatformFacts:
    """All source addresses."""
    return PlatformFacts({row.id: row for row in session.scalars(sa.select(SourceRow))})


def facts_of(session: Session, domain: DomainRow) -> DomainFacts:
    """What is known of one domain."""
    return next(gathered(session, [domain]))


def domain_facts(session: Session, ids: Collection[str] | None = None) -> Iterator[DomainFacts]:
    """What is known of these domains (None: all), in the order of their ids; ids that are gone are left out.

    Some hundred domains are in memory at a time.
    """
    after = ""
    chosen = sorted(ids) if ids is not None else None
    while chosen is None or chosen:
        statement = sa.select(DomainRow).order_by(DomainRow.id).limit(_AT_ONCE)
        if chosen is None:
            rows = session.scalars(statement.where(DomainRow.id > after)).all()
        else:
            rows = session.scalars(statement.where(DomainRow.id.in_(chosen[:_AT_ONCE]))).all()
            chosen = chosen[_AT_ONCE:]
        yield from gathered(session, rows)
        if chosen is None:
            if len(rows) < _AT_ONCE:
                return
            after = rows[-1].id


def gathered(session: Session, domains: Sequence[DomainRow]) -> Iterator[DomainFacts]:
    """The facts of a few domains."""
    ids = [domain.id for domain in domains]
    shards = sa.select(ShardRow).where(ShardRow.domain_id.in_(ids), ShardRow.state != "retired")
    of_domain = _grouped(session, shards.order_by(ShardRow.domain_id, ShardRow.name), "domain_id")
    slots = sa.select(SlotRow).where(SlotRow.domain_id.in_(ids)).order_by(SlotRow.domain_id, SlotRow.id)
    slots_of = _grouped(session, slots, "domain_id")
    keys = published_keys().where(KeyRow.domain_id.in_(ids))
    keys_of = _grouped(session, keys.order_by(KeyRow.domain_id, KeyRow.id), "domain_id")
    shard_ids = [shard.id for rows in of_domain.values() for shard in rows]
    theirs = published_keys().where(KeyRow.shard_id.in_(shard_ids))
    keys_of_shard = _grouped(session, theirs.order_by(KeyRow.shard_id, KeyRow.id), "shard_id")
    for domain in domains:
        own = of_domain.get(domain.id, [])
        signing = [key for shard in own for key in keys_of_shard.get(shard.id, [])]
        found = [*keys_of.get(domain.id, []), *signing]
        yield DomainFacts(domain, found, slots_of.get(domain.id, []), own)


def _grouped(session: Session, statement: sa.Select[Any], owner: str) -> dict[str, list[Any]]:
    rows = session.scalars(statement)
    return {key: list(group) for key, group in groupby(rows, lambda row: getattr(row, owner))}
