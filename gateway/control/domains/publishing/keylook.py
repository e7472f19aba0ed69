"""Looking for keys that were published: one is used once DNS shows it.

A key in a zone of the platform's is asked for at the server that was given it, and then through the resolver
by the name that signatures have, as verifiers will: other servers of the zone may not have it yet, and a
customer may have lost the alias that leads to it. Where another key's record stood shortly before, resolvers
elsewhere may still hold that one: a key is used there once its own has stood for as long as that may be held.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.control.domains.keyrecords import key_target, key_text
from gateway.control.domains.model import DomainRow
from gateway.control.domains.publishing.channel import Channel
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.values import RecordKey
from gateway.control.keys.material import record_name
from gateway.control.keys.model import KeyRow, SlotRow, published_keys
from gateway.control.keys.seen import takes_over
from gateway.control.keys.service import KeyService
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.shards.model import ShardRow
from gateway.control.transaction import ControlWrites

_ACTOR = Actor(kind="system", id="publishing")
_AT_ONCE = 200
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Sought:
    """A key to look for: its text stands at `target`; verifiers ask for `name`, which may be an alias."""

    id: str
    text: str
    target: RecordKey
    name: RecordKey
    takes_over: bool


class KeyLook:
    """Looks for keys that DNS has not shown yet, each after a second and then ever less often."""

    def __init__(
        self,
        writes: ControlWrites,
        keys: KeyService,
        settings: ControlSettings,
        channel: Channel,
        resolve: ResolverLook,
    ) -> None:
        self._writes = writes
        self._keys = keys
        self._settings = settings
        self._channel = channel
        self._resolve = resolve
        self._next: dict[str, tuple[float, float]] = {}
        self._shown_since: dict[str, float] = {}

    def step(self) -> int:
        """Look for those whose time has come; how many were found. Raises DatabaseAway."""
        now = self._writes.clock.monotonic()
        sought = [one for one in self._sought() if self._next.get(one.id, (0.0, 0.0))[0] <= now][:_AT_ONCE]
        if not sought:
            return 0
        found = self._found(sought)
        if found:
            self._note(found)
        for one in sought:
            _, last = self._next.get(one.id, (0.0, 0.0))
            wait = min(max(last * 2, _FIRST_SECONDS), _LONGEST_SECONDS)
            self._next[one.id] = (now + wait, wait)
        return len(found)

    def _sought(self) -> list[_Sought]:
        states = ("pending", "active") if self._settings.publishes else ("pending",)
        statement = (
            sa.select(KeyRow, DomainRow, takes_over(self._settings.record_ttl))
            .outerjoin(ShardRow, ShardRow.id == KeyRow.shard_id)
            .join(DomainRow, DomainRow.id == sa.func.coalesce(KeyRow.domain_id, ShardRow.domain_id))
            .where(
                KeyRow.id.in_(published_keys().with_only_columns(KeyRow.id)),
                KeyRow.state.in_(states),
                KeyRow.seen_at.is_(None),
                DomainRow.state.in_(("active", "degraded")),
                # Keys that wait there for trial domains are nobody's yet.
                DomainRow.name != self._settings.trial_zone,
            )
            .order_by(KeyRow.state.desc(), KeyRow.id)
        )
        with self._writes.view() as session:
            rows = [(row[0], row[1], bool(row[2])) for row in session.execute(statement)]
            ids = {domain.id for _, domain, _ in rows if domain.kind == "custom"}
            slots = session.scalars(sa.select(SlotRow).where(SlotRow.domain_id.in_(ids))).all()
            known = {key.id for key, _, _ in rows}
            self._next = {key_id: self._next[key_id] for key_id in known & set(self._next)}
            self._shown_since = {
                key_id: self._shown_since[key_id] for key_id in known & set(self._shown_since)
            }
            return [one for row in rows if (one := self._aim(*row, slots)) is not None]

    def _aim(
        self, key: KeyRow, domain: DomainRow, is_reused: bool, slots: Sequence[SlotRow]
    ) -> _Sought | None:
        own = [slot for slot in slots if slot.domain_id == domain.id]
        target = RecordKey(key_target(domain, key, own, self._settings), "TXT")
        name = RecordKey(record_name(key.selector, key.domain), "TXT")
        if domain.kind == "custom" and target == name:
            # A text that the customer publishes is what `domain verify` looks for.
            return None
        return _Sought(key.id, key_text(key), target, name, is_reused)

    def _found(self, sought: Sequence[_Sought]) -> list[str]:
        """Those that the server has and the resolver shows: only then are they asked for there.

        What the resolver is told too early that there is not, it would remember.
        """
        shown = self._channel.look([one.target for one in sought])
        ready = [one for one in sought if shown.get(one.target) == (one.text,) and self._is_alone(one)]
        followed = self._resolve([one.name for one in ready]) if ready else {}
        return [one.id for one in ready if followed.get(one.name) == (one.text,)]

    def _is_alone(self, one: _Sought) -> bool:
        """Whether nobody can hold what stood there before."""
        now = self._writes.clock.monotonic()
        since = self._shown_since.setdefault(one.id, now)
        return not one.takes_over or now - since >= self._settings.record_ttl

    def _note(self, ids: Collection[str]) -> None:
        with self._writes.change(_ACTOR) as change:
            rows = change.session.scalars(sa.select(KeyRow).where(KeyRow.id.in_(ids)).order_by(KeyRow.id))
            for key in rows.all():
                if key.state in ("pending", "active"):
                    self._keys.note_seen(change, key)
