"""The life of DKIM keys by the clock: followed by the next, kept while mail names them, destroyed at last.

pending    published, until DNS shows it (gateway.control.domains.publishing.keylook, `domain verify`)
active     signs, for `rotate_seconds`; then a successor is made, and it goes on until that one is seen
retiring   signs no more. Its record stays 7 days at least, and until no queued mail names it
(withdrawn) its record is taken back, its selector free
destroyed  30 days after queued mail named it last; its private half is overwritten
revoked    at once, by hand: its record says so for 30 days, then it is destroyed
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import aliased

from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict
from gateway.control.keys.model import KeyRow
from gateway.control.keys.service import KeyService
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.transaction import ControlWrites

RETIRED_SECONDS = 7 * 86_400.0
DESTROYED_AFTER_SECONDS = 30 * 86_400.0
_ROTATIONS_AT_ONCE = 20


class KeysInUse(Protocol):
    """What the life of keys asks of the queues of all locations. Raises ServiceError if one is away."""

    def keys_in_use(self, key_ids: Iterable[str]) -> set[str]:
        """Which of these keys the signature of a queued message names."""
        ...


@dataclass(frozen=True, slots=True)
class LifecycleReport:
    """What was done, by the keys' ids: `rotated` are the ones that got a successor."""

    rotated: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    destroyed: tuple[str, ...] = ()


class KeyLifecycle:
    """One run does all that is due."""

    def __init__(
        self,
        writes: ControlWrites,
        keys: KeyService,
        queue: KeysInUse,
        settings: ControlSettings,
        rotate_seconds: float,
    ) -> None:
        """`rotate_seconds`: how long a key signs; 0: until a person rotates it."""
        self._writes = writes
        self._keys = keys
        self._queue = queue
        self._settings = settings
        self._rotate_seconds = rotate_seconds
        self._log = structlog.get_logger("gateway.control.keys")

    def run(self, actor: Actor) -> LifecycleReport:
        """Do what is due now. Raises ServiceError, DatabaseAway: the next run goes on."""
        rotated = self._rotate(actor) if self._rotate_seconds else ()
        ended = self._ended()
        used = self._queue.keys_in_use([key_id for key_id, _ in ended])
        withdrawn, destroyed = self._end(actor, [key_id for key_id, _ in ended], used)
        return LifecycleReport(rotated, withdrawn, destroyed)

    def _rotate(self, actor: Actor) -> tuple[str, ...]:
        done = []
        for key_id in self._old_keys(self._writes.clock.now() - self._rotate_seconds):
            try:
                self._keys.succeed(actor, key_id)
            except Conflict as error:
                self._log.warning("key_not_rotated", key_id=key_id, why=error.detail)
            else:
                done.append(key_id)
        return tuple(done)

    def _old_keys(self, before: float) -> Sequence[str]:
        """Keys whose time is over and that nothing follows yet, the oldest first."""
        following = aliased(KeyRow)
        followed = sa.exists().where(
            sa.or_(following.domain_id == KeyRow.domain_id, following.shard_id == KeyRow.shard_id),
            following.algorithm == KeyRow.algorithm,
            following.state == "pending",
        )
        statement = (
            sa.select(KeyRow.id)
            .outerjoin(ShardRow, ShardRow.id == KeyRow.shard_id)
            .join(DomainRow, DomainRow.id == sa.func.coalesce(KeyRow.domain_id, ShardRow.domain_id))
            .where(KeyRow.state == "active", KeyRow.activated_at <= before, ~followed, self._may_rotate())
            .order_by(KeyRow.activated_at)
            .limit(_ROTATIONS_AT_ONCE)
        )
        with self._writes.view() as session:
            return session.scalars(statement).all()

    def _may_rotate(self) -> sa.ColumnElement[bool]:
        """Keys whose successor somebody will publish: the domain's owner, or we.

        Not those under the trial zone: the fixed set that was published must last.
        """
        lives = sa.and_(DomainRow.state.in_(("active", "degraded")), DomainRow.purge_at.is_(None))
        signs = sa.or_(KeyRow.shard_id.is_(None), sa.and_(ShardRow.sign, ShardRow.state != "retired"))
        fixed: sa.ColumnElement[bool] = sa.false()
        if self._settings.trial_selectors:
            fixed = sa.and_(DomainRow.kind == "trial", KeyRow.shard_id.is_(None))
        published = sa.not_(fixed) if self._settings.publishes else DomainRow.kind == "custom"
        return sa.and_(lives, signs, published)

    def _ended(self) -> list[tuple[str, str]]:
        statement = sa.select(KeyRow.id, KeyRow.state).where(KeyRow.state.in_(("retiring", "revoked")))
        with self._writes.view() as session:
            return [(row.id, row.state) for row in session.execute(statement.order_by(KeyRow.id))]

    def _end(
        self, actor: Actor, ids: Sequence[str], used: set[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        withdrawn, destroyed = [], []
        if not ids:
            return (), ()
        with self._writes.change(actor) as change:
            rows = change.session.scalars(sa.select(KeyRow).where(KeyRow.id.in_(ids)).order_by(KeyRow.id))
            for key in rows.all():
                # A revoked key's signatures are made again by another: what names it still does not need it.
                if key.id in used and key.state == "retiring":
                    key.unused_at = None
                    continue
                key.unused_at = key.unused_at or change.now
                if key.unused_at <= change.now - DESTROYED_AFTER_SECONDS:
                    self._keys.destroy(change, key)
                    destroyed.append(key.id)
                elif key.state == "retiring" and key.withdrawn_at is None and _may_go(key, change.now):
                    self._keys.withdraw(change, key)
                    withdrawn.append(key.id)
        return tuple(withdrawn), tuple(destroyed)


def _may_go(key: KeyRow, now: float) -> bool:
    return key.retiring_at is not None and key.retiring_at <= now - RETIRED_SECONDS
