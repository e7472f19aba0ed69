"""Taking due rows in fair order: over tenants, their streams, the streams' lanes.

What to take is found by hopping along the index of ready rows, from one tenant, stream or lane to the
next: the cost depends on how many rows are wanted, never on how many there are. It is found by reading,
outside the writers' turn; the short write that follows takes what is still there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.outgoing.queue.rows import notify_set
from gateway.outgoing.queue.statements import Statements, as_json
from gateway.outgoing.queue.values import (
    ContentSource,
    Delivery,
    Purpose,
    QueuedRecipient,
    StoredMessage,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MOST_MOVED = 5000
"""Rows of one promotion, parking or resumption: bounds the time a transaction keeps the lock."""

_AFTER_ALL = "\U0010ffff"
"""Sorts after every name: skips the rest of a shard."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What must not be attempted now: rows of these are parked, and resumed once they are not here."""

    shards: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()


@dataclass(slots=True)
class Picks:
    """What reading found.

    `rows` to take; (why, tenant, stream, shard) whose rows are to be parked; (why, shard, tenant) whose
    are to be resumed; `due`: some rows have waited long enough and are to be made ready first.
    """

    rows: list[tuple[str, int]] = field(default_factory=list)
    park: list[tuple[str, str, str, str]] = field(default_factory=list)
    resume: list[tuple[str, str, str]] = field(default_factory=list)
    due: bool = False


class Picker:
    """Finds due rows. Remembers where it stopped, so that everyone's turn comes. One thread only."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._stream_cursor = ("", "")
        self._lane_cursors: dict[tuple[str, str], tuple[str, str]] = {}

    def pick(
        self,
        connection: Connection,
        limit: int,
        closed: Closed,
        skip_tenants: Collection[str],
        skip_lanes: Collection[tuple[str, str]],
        now: float,
    ) -> Picks:
        """At most `limit` rows, spread over tenants, streams and lanes.

        `skip_lanes` are (shard, domain); the domain "" stands for all of a shard.
        """
        due = connection.execute(self._statements.any_due, {"now": now}).first() is not None
        picks = Picks(resume=self._resumable(connection, closed), due=due)
        streams = self._streams(connection, limit, skip_tenants)
        if not streams:
            return picks
        share = -(-limit // len(streams))
        lanes: list[tuple[str, str, str, str, int]] = []
        for tenant, stream in streams:
            found = self._lanes(connection, tenant, stream, share, closed, skip_lanes, picks)
            lanes += [(tenant, stream, *lane, -(-share // len(found))) for lane in found]
        self._fill(connection, picks, lanes, limit)
        return picks

    def _fill(
        self, connection: Connection, picks: Picks, lanes: list[tuple[str, str, str, str, int]], limit: int
    ) -> None:
        full = []
        for *lane, most in lanes:
            rows = self._rows(connection, lane, min(most, limit - len(picks.rows)))
            picks.rows += rows
            if len(rows) == most:
                full.append((lane, most))
            if len(picks.rows) >= limit:
                return
        # Some had less than their share: it goes to those that have more.
        for lane, had in full:
            spare = limit - len(picks.rows)
            if spare <= 0:
                return
            picks.rows += self._rows(connection, lane, had + spare)[had:]

    def _rows(self, connection: Connection, lane: Sequence[str], most: int) -> list[tuple[str, int]]:
        names = dict(zip(("tenant_id", "stream", "shard_id", "domain"), lane, strict=True))
        found = connection.execute(self._statements.lane_rows, {**names, "most": most})
        return [(row[0], row[1]) for row in found]

    def _streams(
        self, connection: Connection, most: int, skip_tenants: Collection[str]
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        start = cursor = self._stream_cursor
        wrapped = False
        while len(found) < most:
            parameters = {"tenant_id": cursor[0], "stream": cursor[1]}
            row = connection.execute(self._statements.next_stream, parameters).first()
            if row is None or (wrapped and (row[0], row[1]) > start):
                if wrapped or start == ("", ""):
                    break
                wrapped, cursor = True, ("", "")
                continue
            cursor = (row[0], row[1])
            if row[0] in skip_tenants:
                cursor = (row[0], _AFTER_ALL)
            else:
                found.append(cursor)
        self._stream_cursor = found[-1] if len(found) == most else ("", "")
        return found

    def _lanes(
        self,
        connection: Connection,
        tenant: str,
        stream: str,
        most: int,
        closed: Closed,
        skip_lanes: Collection[tuple[str, str]],
        picks: Picks,
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        start = cursor = self._lane_cursors.pop((tenant, stream), ("", ""))
        wrapped = False
        while len(found) < most:
            parameters = {"tenant_id": tenant, "stream": stream, "shard_id": cursor[0], "domain": cursor[1]}
            row = connection.execute(self._statements.next_lane, parameters).first()
            if row is None or (wrapped and (row[0], row[1]) > start):
                if wrapped or start == ("", ""):
                    return found
                wrapped, cursor = True, ("", "")
                continue
            cursor = (row[0], row[1])
            if tenant in closed.tenants or row[0] in closed.shards:
                why = "tenant" if tenant in closed.tenants else "shard"
                picks.park.append((why, tenant, stream, row[0]))
                cursor = (row[0], _AFTER_ALL)
            elif (row[0], "") in skip_lanes:
                cursor = (row[0], _AFTER_ALL)
            elif cursor not in skip_lanes:
                found.append(cursor)
        self._lane_cursors[tenant, stream] = found[-1]
        return found

    def _resumable(self, connection: Connection, closed: Closed) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        cursor = ("", "", "")
        while True:
            parameters = dict(zip(("parked", "shard_id", "tenant_id"), cursor, strict=True))
            row = connection.execute(self._statements.next_parked, parameters).first()
            if row is None:
                return found
            cursor = (row[0], row[1], row[2])
            if row[1] not in closed.shards and row[2] not in closed.tenants:
                found.append(cursor)


class Claimer:
    """Takes rows for this incarnation; every function runs in a transaction of its caller."""

    def __init__(self, statements: Statements, incarnation: str, source: ContentSource) -> None:
        self._statements = statements
        self._me = incarnation
        self._source = source

    def promote(self, connection: Connection, now: float) -> int:
        """Make ready what has waited for its time; the life clock goes on where it stood."""
        parameters = {"now": now, "most": _MOST_MOVED}
        return connection.execute(self._statements.promote, parameters).rowcount

    def park(self, connection: Connection, picks: Picks, now: float) -> None:
        """Park what is closed."""
        names = ("why", "tenant_id", "stream", "shard_id")
        for key in dict.fromkeys(picks.park):
            values = dict(zip(names, key, strict=True))
            connection.execute(self._statements.park, {**values, "now": now, "most": _MOST_MOVED})

    def resume(self, connection: Connection, picks: Picks, now: float) -> None:
        """Make ready what was parked and is closed no longer."""
        for key in picks.resume:
            values = dict(zip(("parked", "shard_id", "tenant_id"), key, strict=True))
            connection.execute(self._statements.resume, {**values, "now": now, "most": _MOST_MOVED})

    def claim(self, connection: Connection, rows: Iterable[tuple[str, int]], now: float) -> list[Delivery]:
        """Own those of `rows` that are still ready."""
        wanted = list(rows)
        if not wanted:
            return []
        parameters = {"rows": as_json(wanted), "me": self._me, "now": now}
        taken = connection.execute(self._statements.claim, parameters).all()
        order = {key: place for place, key in enumerate(wanted)}
        taken = sorted(taken, key=lambda row: order[row.message_id, row.n])
        return self._deliveries(connection, taken, Purpose.ATTEMPT)

    def claim_late(self, connection: Connection, most: int, now: float) -> list[Delivery]:
        """Own at most `most` rows that are to be told of their delay or given up."""
        parameters = {"me": self._me, "now": now, "most": most}
        taken = connection.execute(self._statements.claim_late, parameters).all()
        return self._deliveries(connection, taken, Purpose.LATE)

    def give_back(self, connection: Connection, rows: Iterable[tuple[str, int]], now: float) -> None:
        """Undo a claim of which nobody knows whether it was committed."""
        names = [{"id": message_id, "n": n, "owner": self._me, "now": now} for message_id, n in rows]
        if names:
            self._statements.free.execute(connection, names)

    def _deliveries(self, connection: Connection, taken: Iterable[Any], purpose: Purpose) -> list[Delivery]:
        groups: dict[tuple[str, str, str], list[QueuedRecipient]] = {}
        for row in taken:
            groups.setdefault((row.message_id, row.shard_id, row.domain), []).append(_recipient(row))
        if not groups:
            return []
        ids = {key[0] for key in groups}
        found = connection.execute(self._statements.facts, {"ids": as_json(ids)})
        facts = {row.id: StoredMessage(*row) for row in found}
        return [
            Delivery(facts[message_id], shard_id, domain, tuple(recipients), self._source, None, purpose)
            for (message_id, shard_id, domain), recipients in groups.items()
        ]


def _recipient(row: Any) -> QueuedRecipient:
    return QueuedRecipient(
        row.n,
        row.address,
        row.attempts,
        notify_set(row.notify),
        row.orcpt,
        row.queued_at,
        row.give_up_at,
        bool(row.delay_notified),
        row.last_reply,
        row.next_attempt_at,
        row.parked,
    )
