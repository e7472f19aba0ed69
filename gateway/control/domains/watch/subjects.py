"""Which domains are watched, and what each is expected to have: read from the control database."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.dnsrecords import domain_records
from gateway.control.domains.facts import DomainFacts, PlatformFacts, domain_facts, facts_of, platform_facts
from gateway.control.domains.model import DomainRow
from gateway.control.domains.watch.values import Subject
from gateway.control.installation.model import ChangeRow, HeadRow
from gateway.control.keys.material import record_name
from gateway.control.keys.model import KeyRow
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow

WATCHED = ("pending", "verifying", "active", "degraded", "suspended")
_MOST_CHANGES = 1_000


def subject_of(session: Session, row: DomainRow, settings: ControlSettings) -> Subject:
    """One domain."""
    return _subject(facts_of(session, row), platform_facts(session), settings)


def subjects_of(
    session: Session, domain_ids: Collection[str], settings: ControlSettings
) -> Iterator[Subject]:
    """Several domains; those that are gone, or not to be watched, are left out."""
    platform = platform_facts(session)
    for facts in domain_facts(session, domain_ids):
        if facts.domain.state in WATCHED and facts.domain.purge_at is None:
            yield _subject(facts, platform, settings)


def watched(session: Session) -> dict[str, str]:
    """The ids of all domains that are to be watched, with their tenants'."""
    columns = sa.select(DomainRow.id, DomainRow.tenant_id)
    rows = session.execute(
        columns.where(DomainRow.kind == "custom", DomainRow.state.in_(WATCHED), DomainRow.purge_at.is_(None))
    )
    return {row.id: row.tenant_id for row in rows}


def revision_of(session: Session) -> int:
    """The number of the last change of the control plane."""
    return session.scalars(sa.select(HeadRow.revision)).one_or_none() or 0


def touched_since(session: Session, revision: int) -> set[str]:
    """The domains whose records may be others since a revision: by their own, a key's or a shard's change.

    Where very much has changed, the first of it.
    """
    changes = sa.select(ChangeRow.kind, ChangeRow.row_id).where(
        ChangeRow.revision > revision, ChangeRow.kind.in_(("domain", "key", "shard"))
    )
    rows = session.execute(changes.order_by(ChangeRow.revision).limit(_MOST_CHANGES)).all()
    ids: dict[str, list[str]] = {"domain": [], "key": [], "shard": []}
    for kind, row_id in rows:
        ids[kind].append(row_id)
    found = set(ids["domain"])
    keys = sa.select(sa.func.coalesce(KeyRow.domain_id, ShardRow.domain_id))
    keys = keys.outerjoin(ShardRow, ShardRow.id == KeyRow.shard_id).where(KeyRow.id.in_(ids["key"]))
    shards = sa.select(ShardRow.domain_id).where(ShardRow.id.in_(ids["shard"]))
    found.update(one for query in (keys, shards) for one in session.scalars(query) if one is not None)
    return found


def _subject(facts: DomainFacts, platform: PlatformFacts, settings: ControlSettings) -> Subject:
    row = facts.domain
    unseen = (key for key in facts.keys if key.seen_at is None and key.state in ("pending", "active"))
    signing = {key.shard_id for key in facts.keys if key.state == "active"}
    waiting = (key for key in facts.keys if key.state == "pending" and key.shard_id in signing)
    return Subject(
        row.id,
        row.tenant_id,
        row.name,
        row.state if row.kind == "custom" else "",
        row.created_at,
        domain_records(facts, platform, settings),
        frozenset(record_name(key.selector, key.domain) for key in unseen),
        frozenset(record_name(key.selector, key.domain) for key in waiting),
        row.in_state_since,
        settings.hostname,
    )
