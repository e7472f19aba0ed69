"""Statements of the store thread that need more than `insert(table)`: built once, for one dialect.

Lists travel as one JSON parameter, so that a statement's text never depends on how many there are
(each database then prepares it once). States stand in the text, not in parameters: a partial index
is used only where its condition is literally there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.outgoing.queue.driver import ByKeys, ManyRows
from gateway.outgoing.queue.tables import IS_LATE, IS_LIVE, IS_TIMED


def as_json(items: Iterable[Any]) -> str:
    """A list parameter."""
    return json.dumps(list(items))


class Statements:
    """The texts for one dialect, `sqlite` or `postgresql`."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self._postgresql = dialect == "postgresql"
        self._build_outcomes()
        self._build_quota()
        self._build_claims()
        self._build_waiting()
        self._build_owners()

    def source(self, parameter: str, columns: Sequence[str], *, numbers: Sequence[str] = ()) -> str:
        """FROM-clause text: a JSON list (of lists, if there are several columns) as table `k`."""
        several = len(columns) > 1
        shown = []
        for i, name in enumerate(columns):
            if self._postgresql:
                text = f"k.value->>{i}" if several else "k.value#>>'{}'"
                text = f"({text})::bigint" if name in numbers else text
            else:
                text = f"json_extract(k.value, '$[{i}]')" if several else "k.value"
            shown.append(f"{text} AS {name}")
        table = f"json_each(:{parameter}) AS k"
        if self._postgresql:
            table = f"jsonb_array_elements(CAST(:{parameter} AS jsonb)) AS k(value)"
        return f"(SELECT {', '.join(shown)} FROM {table}) AS k"

    def _many(self, text: str) -> ManyRows:
        return ManyRows(sa.text(text), self.dialect)

    def _by(self, index: str) -> str:
        """The recipient table by one of its partial indexes; SQLite would rather take all rows of a state."""
        return "recipient" if self._postgresql else f"recipient INDEXED BY ix_recipient_{index}"

    def one_of(self, column: str, parameter: str) -> str:
        """Condition text: `column` is in a JSON list."""
        return f"{column} IN (SELECT x FROM {self.source(parameter, ['x'])})"

    def _build_outcomes(self) -> None:
        mine = "message_id = :id AND n = :n AND owner = :me AND attempts = :attempt"
        done = "owner = NULL, next_attempt_at = NULL, late_at = NULL, parked = NULL"
        self.finish = self._many(
            f"UPDATE recipient SET state = :state, {done}, last_reply = :reply, changed_at = :at WHERE {mine}"
        )
        # The life's end matters only to what is parked: the rest meets it at its next attempt.
        self.defer = self._many(
            "UPDATE recipient SET state = 'waiting', owner = NULL, next_attempt_at = :next, parked = :parked,"
            " delay_notified = (delay_notified OR :notified),"
            " late_at = CASE WHEN NOT (delay_notified OR :notified) THEN queued_at + 10800.0"
            " WHEN CAST(:parked AS TEXT) IS NULL THEN NULL"
            " WHEN give_up_at > queued_at + 604800.0 THEN give_up_at ELSE queued_at + 604800.0 END,"
            f" last_reply = COALESCE(:reply, last_reply), changed_at = :at WHERE {mine}"
        )
        self.unanswered = self._many(
            f"UPDATE recipient SET state = 'unknown', changed_at = :at WHERE {mine} AND state = 'owned'"
        )
        self.hand_back = self._many(
            "UPDATE recipient SET state = 'ready', owner = NULL, attempts = attempts - 1,"
            f" next_attempt_at = NULL, late_at = NULL, parked = NULL, changed_at = :at WHERE {mine}"
        )
        self.drop_body = self._many(
            "DELETE FROM message_body WHERE message_id = :id AND NOT EXISTS ("
            "SELECT 1 FROM recipient AS r WHERE r.message_id = :id"
            f" AND {IS_LIVE.replace('state', 'r.state')})"
        )
        self.bodies_left = sa.text(
            f"SELECT message_id FROM message_body WHERE {self.one_of('message_id', 'ids')}"
        )
        away = "SELECT account_id FROM account_home WHERE state <> 'home'"
        self.any_away = f"{away} LIMIT 1"
        self.away = sa.text(f"{away} AND " + self.one_of("account_id", "ids"))

    def _build_quota(self) -> None:
        columns = 'scope, scope_id, metric, "window", window_start'
        lock = f" ORDER BY {columns} FOR UPDATE" if self._postgresql else ""
        self.counters = ByKeys(
            f"SELECT {columns}, value FROM quota_counter WHERE ({columns}) IN",
            lock,
            ["TEXT", "TEXT", "TEXT", "TEXT", "BIGINT"],
            self.dialect,
        )
        insert = (
            'INSERT INTO quota_counter (scope, scope_id, metric, "window", window_start, tenant_id, value)'
            " VALUES (:scope, :scope_id, :metric, :window, :window_start, :tenant_id, :value)"
            ' ON CONFLICT (scope, scope_id, metric, "window", window_start) DO '
        )
        self.make_counter = self._many(insert + "NOTHING")
        self.put_counter = self._many(insert + "UPDATE SET value = excluded.value")
        self.known_recipients = ByKeys(
            "SELECT account_id, address_hash FROM first_recipient WHERE (account_id, address_hash) IN",
            "",
            ["TEXT", "TEXT"],
            self.dialect,
        )
        self.remember_recipient = self._many(
            "INSERT INTO first_recipient (account_id, address_hash, tenant_id, first_at)"
            " VALUES (:account_id, :address_hash, :tenant_id, :first_at) ON CONFLICT DO NOTHING"
        )

    def _build_claims(self) -> None:
        skip = " FOR UPDATE SKIP LOCKED" if self._postgresql else ""
        rows = self.source("rows", ["message_id", "n"], numbers=["n"])
        returned = (
            "message_id, n, shard_id, domain, address, attempts, notify, orcpt, queued_at, give_up_at,"
            " delay_notified, last_reply, next_attempt_at, parked"
        )
        self.claim = sa.text(
            "UPDATE recipient SET state = 'owned', owner = :me, attempts = attempts + 1, changed_at = :now"
            " WHERE (message_id, n) IN (SELECT r.message_id, r.n FROM"
            f" {rows} CROSS JOIN recipient AS r WHERE r.message_id = k.message_id AND r.n = k.n"
            f" AND r.state = 'ready'{skip.replace('UPDATE', 'UPDATE OF r')}) RETURNING {returned}"
        )
        self.claim_late = sa.text(
            "UPDATE recipient SET state = 'owned', owner = :me, late_at = NULL, changed_at = :now"
            f" WHERE (message_id, n) IN (SELECT message_id, n FROM {self._by('late')} WHERE {IS_LATE}"
            f" AND late_at <= :now ORDER BY late_at LIMIT :most{skip}) RETURNING {returned}"
        )
        self.facts = sa.text(
            "SELECT id, tenant_id, account_id, workspace_id, environment, origin, stream, reverse_path,"
            " from_address, from_domain, size, received_at, header_message_id, envid, ret, smtputf8, eightbit"
            f" FROM message WHERE {self.one_of('id', 'ids')}"
        ).columns(smtputf8=sa.Boolean, eightbit=sa.Boolean)
        ready = f"recipient WHERE state = 'ready' AND {IS_LIVE}"
        self.next_stream = sa.text(
            f"SELECT tenant_id, stream FROM {ready} AND (tenant_id, stream) > (:tenant_id, :stream)"
            " ORDER BY tenant_id, stream LIMIT 1"
        )
        self.next_lane = sa.text(
            f"SELECT shard_id, domain FROM {ready} AND tenant_id = :tenant_id AND stream = :stream"
            " AND (shard_id, domain) > (:shard_id, :domain) ORDER BY shard_id, domain LIMIT 1"
        )
        self.lane_rows = sa.text(
            f"SELECT message_id, n FROM {ready} AND tenant_id = :tenant_id AND stream = :stream"
            " AND shard_id = :shard_id AND domain = :domain ORDER BY message_id, n LIMIT :most"
        )

    def _build_waiting(self) -> None:
        skip = " FOR UPDATE SKIP LOCKED" if self._postgresql else ""
        self.promote = sa.text(
            "UPDATE recipient SET state = 'ready', next_attempt_at = NULL, late_at = NULL,"
            " queued_at = queued_at + COALESCE(:now - stopped_at, 0),"
            " give_up_at = give_up_at + COALESCE(:now - stopped_at, 0), stopped_at = NULL, changed_at = :now"
            f" WHERE (message_id, n) IN (SELECT message_id, n FROM {self._by('timed')} WHERE {IS_TIMED}"
            f" AND next_attempt_at <= :now ORDER BY next_attempt_at LIMIT :most{skip})"
        )
        self.any_due = sa.text(
            f"SELECT 1 FROM {self._by('timed')} WHERE {IS_TIMED} AND next_attempt_at <= :now LIMIT 1"
        )
        self.park = sa.text(
            "UPDATE recipient SET state = 'waiting', parked = :why, next_attempt_at = NULL,"
            " late_at = CASE WHEN NOT delay_notified THEN queued_at + 10800.0"
            " WHEN give_up_at > queued_at + 604800.0 THEN give_up_at ELSE queued_at + 604800.0 END,"
            " changed_at = :now WHERE (message_id, n) IN (SELECT message_id, n FROM recipient"
            f" WHERE state = 'ready' AND {IS_LIVE} AND tenant_id = :tenant_id AND stream = :stream"
            f" AND shard_id = :shard_id LIMIT :most{skip})"
        )
        parked = f"{self._by('parked')} WHERE parked IS NOT NULL AND state = 'waiting'"
        self.next_parked = sa.text(
            f"SELECT parked, shard_id, tenant_id FROM {parked}"
            " AND (parked, shard_id, tenant_id) > (:parked, :shard_id, :tenant_id)"
            " ORDER BY parked, shard_id, tenant_id LIMIT 1"
        )
        self.resume = sa.text(
            "UPDATE recipient SET state = 'ready', parked = NULL, late_at = NULL, changed_at = :now"
            f" WHERE (message_id, n) IN (SELECT message_id, n FROM {parked} AND parked = :parked"
            f" AND shard_id = :shard_id AND tenant_id = :tenant_id LIMIT :most{skip})"
        )

    def _build_owners(self) -> None:
        self.now = sa.text(
            "SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision"
            if self._postgresql
            else "SELECT (julianday('now') - 2440587.5) * 86400.0"
        )
        now = self.now.text.removeprefix("SELECT ")
        self.beat = sa.text(f"UPDATE incarnation SET heartbeat_at = {now} WHERE id = :me")
        self.register = sa.text(
            f"INSERT INTO incarnation (id, node, started_at, heartbeat_at) VALUES (:me, :node, {now}, {now})"
            f" ON CONFLICT (id) DO UPDATE SET heartbeat_at = {now}"
        )
        self.stale = sa.text(
            f"SELECT id FROM incarnation WHERE heartbeat_at < {now} - :seconds AND id <> :me"
        )
        taken = f"(state = 'owned' OR state = 'unknown') AND state IN ('owned', 'unknown') AND {IS_LIVE}"
        self.owners = sa.text(f"SELECT DISTINCT owner FROM recipient WHERE {taken}")
        self.owned = sa.text(
            f"SELECT message_id, n, tenant_id, owner, state, attempts FROM recipient WHERE {taken} AND "
            + self.one_of("owner", "ids")
            + " ORDER BY message_id, n"
            + (" FOR UPDATE" if self._postgresql else "")
        )
        self.free = self._many(
            "UPDATE recipient SET state = 'ready', owner = NULL, changed_at = :now"
            " WHERE message_id = :id AND n = :n AND owner = :owner"
        )
        self.forget = sa.text("DELETE FROM incarnation WHERE " + self.one_of("id", "ids"))
