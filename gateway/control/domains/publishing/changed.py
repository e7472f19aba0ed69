"""Whose records may be others since a revision: read from the change log."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.domains.publishing.values import PLATFORM
from gateway.control.installation.model import ChangeRow, HeadRow
from gateway.control.keys.model import KeyRow
from gateway.control.shards.model import ShardRow

_EVERYBODY = ("platform", "source")
_KINDS = ("domain", "shard", "key", *_EVERYBODY)


def head_revision(session: Session) -> int:
    """The revision the control plane is at."""
    return session.scalars(sa.select(HeadRow.revision)).one()


def changed_owners(session: Session, since: int) -> set[str] | None:
    """The owners of records that changes after revision `since` touch; None: maybe all of them."""
    oldest = session.scalar(sa.select(sa.func.min(ChangeRow.revision)))
    if oldest is not None and oldest > since + 1:
        return None
    changes = sa.select(ChangeRow.kind, ChangeRow.row_id).where(
        ChangeRow.revision > since, ChangeRow.kind.in_(_KINDS)
    )
    rows = session.execute(changes.distinct()).all()
    if any(row.kind in _EVERYBODY for row in rows):
        return None
    ids = {kind: {row.row_id for row in rows if row.kind == kind} for kind in ("domain", "shard", "key")}
    keys = session.execute(sa.select(KeyRow.domain_id, KeyRow.shard_id).where(KeyRow.id.in_(ids["key"])))
    signing = {key.shard_id: key.domain_id for key in keys}
    shard_ids = ids["shard"] | {shard_id for shard_id in signing if shard_id is not None}
    shards = session.execute(sa.select(ShardRow.id, ShardRow.domain_id).where(ShardRow.id.in_(shard_ids)))
    owners = ids["domain"] | ids["shard"] | {PLATFORM}
    owners |= {shard.domain_id or shard.id for shard in shards}
    return owners | _domains_of(session, ids["key"])


def _domains_of(session: Session, key_ids: set[str]) -> set[str]:
    statement = sa.select(KeyRow.domain_id).where(KeyRow.id.in_(key_ids), KeyRow.domain_id.is_not(None))
    return {domain_id for domain_id in session.scalars(statement) if domain_id is not None}
