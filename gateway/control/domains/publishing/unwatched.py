"""Looking for keys through the resolver that neither the watch nor a publishing channel looks for.

Those are the keys under the trial zone where they are a fixed set; the keys of shards that lie under no
domain; and those of shards under the platform's own names where a person publishes.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.control.domains.keyrecords import key_text
from gateway.control.domains.model import DomainRow
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.values import RecordKey
from gateway.control.keys.material import record_name
from gateway.control.keys.model import KeyRow, published_keys
from gateway.control.keys.service import KeyService
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.transaction import ControlWrites

_ACTOR = Actor(kind="system", id="key-lifecycle")
MOST = 500
"""Keys a look. Of more, those that are asked for change with time."""


class UnwatchedKeys:
    """Notes which of them DNS has shown."""

    def __init__(
        self, writes: ControlWrites, keys: KeyService, settings: ControlSettings, resolve: ResolverLook
    ) -> None:
        self._writes = writes
        self._keys = keys
        self._settings = settings
        self._resolve = resolve

    def look(self) -> int:
        """Ask for those that were not seen yet; how many were found. Raises DatabaseAway."""
        sought = self._sought()
        if not sought:
            return 0
        shown = self._resolve(list({key for _, key, _ in sought}))
        found = [key_id for key_id, key, text in sought if shown.get(key) == (text,)]
        if found:
            self._note(found)
        return len(found)

    def _sought(self) -> list[tuple[str, RecordKey, str]]:
        """Their ids, where their records stand, and what those say."""
        with self._writes.view() as session:
            rows = session.scalars(self._unseen()).all()
            first = int(self._writes.clock.now()) % len(rows) if len(rows) > MOST else 0
            some = [*rows[first:], *rows[:first]][:MOST]
            return [
                (key.id, RecordKey(record_name(key.selector, key.domain), "TXT"), key_text(key))
                for key in some
            ]

    def _unseen(self) -> sa.Select[KeyRow]:
        fixed = KeyRow.domain == self._settings.trial_zone if self._settings.trial_selectors else sa.false()
        nobodys: list[sa.ColumnElement[bool]] = [ShardRow.domain_id.is_(None)]
        if not self._settings.publishes:
            nobodys.append(DomainRow.kind != "custom")
        of_shard = sa.and_(KeyRow.shard_id.is_not(None), ShardRow.state != "retired", sa.or_(*nobodys))
        statement = published_keys().outerjoin(ShardRow, ShardRow.id == KeyRow.shard_id)
        statement = statement.outerjoin(DomainRow, DomainRow.id == ShardRow.domain_id)
        unseen = sa.and_(KeyRow.state.in_(("pending", "active")), KeyRow.seen_at.is_(None))
        return statement.where(unseen, sa.or_(fixed, of_shard)).order_by(KeyRow.id)

    def _note(self, ids: Sequence[str]) -> None:
        with self._writes.change(_ACTOR) as change:
            rows = change.session.scalars(sa.select(KeyRow).where(KeyRow.id.in_(ids)).order_by(KeyRow.id))
            for key in rows.all():
                if key.state in ("pending", "active"):
                    self._keys.note_seen(change, key)
