"""Publishing: what should stand in the platform's zones is put there, mended, and taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import structlog

from gateway.control.domains.platformrecords import platform_records
from gateway.control.domains.publishing import store
from gateway.control.domains.publishing.channel import Channel, ChannelAway, Seen
from gateway.control.domains.publishing.desired import desired
from gateway.control.domains.publishing.difference import differences
from gateway.control.domains.publishing.values import (
    PLATFORM,
    Change,
    Kept,
    Outcome,
    RecordChange,
    RecordKey,
    Values,
    Wanted,
    only_ours,
)
from gateway.control.domains.publishing.view import done, pending_of, planned
from gateway.control.domains.view import RecordView
from gateway.control.errors import Forbidden, Unavailable
from gateway.control.records import Actor
from gateway.control.settings import ControlSettings
from gateway.control.transaction import ControlWrites
from gateway.system.database import Database

_AT_ONCE = 200
"""Changes a transaction of the location's database: it is the queue's too."""


class PublishingService:
    """Brings the platform's zones to what the control database says. Its methods block."""

    def __init__(
        self, writes: ControlWrites, location: Database, settings: ControlSettings, channel: Channel
    ) -> None:
        """`location`: the default location's database, which remembers what was published."""
        self._writes = writes
        self._location = location
        self._settings = settings
        self.channel = channel
        self._log = structlog.get_logger("gateway.control.publishing")

    def publish(self, owners: Collection[str] | None = None) -> list[Outcome]:
        """Make the changes that are due for these owners (None: all). Raises DatabaseAway."""
        now = self._writes.clock.now()
        wanted, kept = self._compared(owners)
        return self._apply(list(differences(wanted, kept, now)))

    def due_owners(self) -> set[str]:
        """Whose changes failed and are to be tried again now. Raises DatabaseAway."""
        with self._location.read() as connection:
            return store.due_owners(connection, self._writes.clock.now())

    def reconcile(self, actor: Actor, *, dry_run: bool = False) -> tuple[RecordChange, ...]:
        """Compare all of it with what DNS has, and mend what differs; with `dry_run` only say what that is.

        What a person has to publish stays, with an `error` that says so. Raises NotFound for any but the
        operator, Unavailable if the server cannot be asked.
        """
        _operator_only(actor)
        wanted, kept = self._compared(None)
        try:
            seen, strays = self._look(wanted, kept)
        except ChannelAway as error:
            raise _away(error) from error
        known = self._observed(wanted, kept, seen, write=not dry_run)
        changes = [*differences(wanted, known, self._writes.clock.now(), at_once=True), *strays]
        if dry_run or not self.channel.is_automatic:
            self._intend(changes, write=not dry_run)
            by_hand = not dry_run
            return tuple(planned(change, seen.get(change.key), by_hand=by_hand) for change in changes)
        return tuple(done(outcome) for outcome in self._apply(changes))

    def pending(self, actor: Actor) -> tuple[RecordChange, ...]:
        """The changes that are not made yet, by name: failed ones, and all where a person publishes.

        Raises NotFound for any but the operator.
        """
        _operator_only(actor)
        wanted, kept = self._compared(None)
        now = self._writes.clock.now()
        fresh = {change.key: change for change in differences(wanted, kept, now, at_once=True)}
        with self._location.read() as connection:
            rows = {row.key: row for row in store.waiting(connection)}
        by_hand = not self.channel.is_automatic
        found = [pending_of(_newer(rows.get(key), fresh[key], now), by_hand=by_hand) for key in fresh]
        return tuple(sorted(found, key=lambda one: (one.name, one.type)))

    def platform_records(self, actor: Actor) -> tuple[RecordView, ...]:
        """What the operator's own zones must have; nothing is looked up. Raises NotFound for others."""
        _operator_only(actor)
        with self._writes.view() as session:
            return platform_records(session, self._settings)

    def _compared(self, owners: Collection[str] | None) -> tuple[list[Wanted], dict[RecordKey, Kept]]:
        with self._writes.view() as session:
            wanted = list(desired(session, self._settings, self._writes.clock.now(), owners))
        with self._location.read() as connection:
            return wanted, store.kept_of(connection, owners, wanted)

    def _apply(self, changes: Sequence[Change]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(changes), _AT_ONCE):
            part = changes[start : start + _AT_ONCE]
            self._intend(part)
            found = self.channel.apply(part)
            with self._location.write() as connection:
                store.settle(connection, found, self._writes.clock.now())
            outcomes += found
        self._tell(outcomes)
        return outcomes

    def _intend(self, changes: Sequence[Change], *, write: bool = True) -> None:
        if write and changes:
            with self._location.write() as connection:
                store.intend(connection, changes, self._writes.clock.now())

    def _look(
        self, wanted: Sequence[Wanted], kept: Mapping[RecordKey, Kept]
    ) -> tuple[Seen, Sequence[Change]]:
        """What stands at every name of ours; what is not wanted and stands below names that only we use."""
        keys = {one.key for one in wanted} | set(kept)
        below = tuple("." + name for name in only_ours(self._settings))
        everything = self.channel.everything(lambda key: key in keys or key.name.endswith(below))
        if everything is None:
            return self.channel.look(sorted(keys)), ()
        listed: dict[RecordKey, Values | None] = {key: everything.get(key) for key in keys}
        strays = [
            Change(key, PLATFORM, None, values, None, (values,) if values else ())
            for key, values in sorted(everything.items())
            if key not in keys
        ]
        return listed, strays

    def _observed(
        self, wanted: Sequence[Wanted], kept: Mapping[RecordKey, Kept], seen: Seen, *, write: bool
    ) -> dict[RecordKey, Kept]:
        """What is known after the look: ours is what we put there, or what is just as we want it."""
        now = self._writes.clock.now()
        known = dict(kept)
        differing: list[tuple[Wanted | Kept, Values | None]] = []
        for wish in wanted:
            found = seen.get(wish.key)
            if wish.key in seen and wish.key not in kept and found == wish.values:
                differing.append((wish, found))
                known[wish.key] = Kept(wish.key, wish.owner, wish.tenant_id, wish.values, found, now)
        for key, row in kept.items():
            if key in seen and seen[key] != row.published and _is_ours(row, seen[key]):
                differing.append((row, seen[key]))
                known[key] = Kept(key, row.owner, row.tenant_id, row.wanted, seen[key], now, row.attempts)
        for start in range(0, len(differing) if write else 0, _AT_ONCE):
            with self._location.write() as connection:
                for one, values in differing[start : start + _AT_ONCE]:
                    store.observe(connection, one, values, now)
        return known

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if len(outcomes) > len(failed):
            self._log.info("records_published", changes=len(outcomes) - len(failed))
        for outcome in failed[:1]:
            # The server is away for all alike: one line is enough, `domain pending` has them all.
            self._log.warning(
                "records_not_published", changes=len(failed), name=outcome.change.key.name, why=outcome.error
            )


def _is_ours(row: Kept, found: Values | None) -> bool:
    return row.published is not None or found is None or found == row.wanted


def _newer(row: Kept | None, change: Change, now: float) -> Kept:
    """The row of a change, as far as it tells of this change."""
    if row is not None and row.wanted == change.after:
        return row
    return Kept(change.key, change.owner, change.tenant_id, change.after, change.before, now)


def _operator_only(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden(
            "operator-only", "The platform's own records are the operator's.", "Ask the platform's operator."
        )


def _away(error: ChannelAway) -> Unavailable:
    return Unavailable(
        "name-server-away", f"The zones cannot be compared: {error}.", "See [publishing], and try again."
    )
