"""Writing outcomes: each changes only a row that its worker still owns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.outgoing.queue.rows import Row, event_row
from gateway.outgoing.queue.statements import Statements, as_json
from gateway.outgoing.queue.values import Outcome, OutcomeKind

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.outgoing.queue.driver import ManyRows

_FINISHED = frozenset({OutcomeKind.DELIVERED, OutcomeKind.BOUNCED, OutcomeKind.EXPIRED})


class NotOwned(Exception):
    """At least one outcome of a group matched no row: the transaction must be done again, one by one."""


class KnownBlobs:
    """Which messages have their body in the blob store, as far as this process has met them.

    So that finishing a message needs no look at its row. What is not known here (the message was
    finished by another process than those that wrote or read it) falls to the orphan collector.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._keys: dict[str, str] = {}

    def note(self, message_id: str, key: str) -> None:
        """Remember one; the oldest are forgotten. Any thread."""
        self._keys[message_id] = key
        if len(self._keys) > self._most:
            self._keys.pop(next(iter(self._keys)), None)

    def of(self, message_ids: Iterable[str]) -> dict[str, str]:
        """The keys of those of `message_ids` that have one."""
        return {i: self._keys[i] for i in message_ids if i in self._keys} if self._keys else {}


class OutcomeWriter:
    """Writes the outcomes of one worker incarnation."""

    def __init__(self, statements: Statements, incarnation: str, blobs: KnownBlobs) -> None:
        self._statements = statements
        self._blobs = blobs
        self._me = incarnation

    def apply(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Write all of them, a statement for each kind. Raises NotOwned if a row is not ours."""
        for statement, rows in self._grouped(outcomes):
            if statement.execute(connection, rows) != len(rows):
                raise NotOwned

    def apply_singly(self, connection: Connection, outcomes: Sequence[Outcome]) -> set[int]:
        """Write those whose row is still ours; the others' `id()`s are returned."""
        lost = set()
        for outcome in outcomes:
            for statement, rows in self._grouped([outcome]):
                if statement.execute(connection, rows) != 1:
                    lost.add(id(outcome))
        return lost

    def drop_bodies(self, connection: Connection, outcomes: Iterable[Outcome]) -> list[str]:
        """Remove the bodies of messages that are finished; the keys of their blobs, to be deleted after."""
        finished = {outcome.message_id for outcome in outcomes if outcome.kind in _FINISHED}
        if not finished:
            return []
        self._statements.drop_body.execute(connection, [{"id": message_id} for message_id in finished])
        keys = self._blobs.of(finished)
        if not keys:
            return []
        parameters = {"ids": as_json(keys)}
        left = {row[0] for row in connection.execute(self._statements.bodies_left, parameters)}
        return [key for message_id, key in keys.items() if message_id not in left]

    def _grouped(self, outcomes: Iterable[Outcome]) -> list[tuple[ManyRows, list[dict[str, Any]]]]:
        texts = self._statements
        groups: dict[int, tuple[ManyRows, list[dict[str, Any]]]] = {}
        for outcome in outcomes:
            row: dict[str, Any] = {
                "id": outcome.message_id,
                "n": outcome.n,
                "me": self._me,
                "attempt": outcome.attempt,
                "at": outcome.at,
            }
            kind = outcome.kind
            if kind in _FINISHED:
                statement = texts.finish
                row.update(state=kind.value, reply=outcome.reply)
            elif kind is OutcomeKind.DEFERRED:
                statement = texts.defer
                row.update(
                    next=outcome.next_attempt_at,
                    parked=outcome.parked,
                    notified=outcome.delay_notified,
                    reply=outcome.reply or None,
                )
            else:
                statement = texts.unanswered if kind is OutcomeKind.UNKNOWN else texts.hand_back
            groups.setdefault(id(statement), (statement, []))[1].append(row)
        return list(groups.values())


def outcome_events(outcome: Outcome, tenant_id: str) -> list[Row]:
    """What an outcome adds to its message's history."""
    events = []
    if outcome.kind in _FINISHED or (outcome.kind is OutcomeKind.DEFERRED and outcome.reply):
        events.append(_event(outcome, tenant_id, outcome.kind.value))
    if outcome.delay_notified and outcome.kind is OutcomeKind.DEFERRED:
        events.append(_event(outcome, tenant_id, "delayed"))
    if outcome.possible_duplicate:
        events.append(_event(outcome, tenant_id, "possible_duplicate"))
    return events


def _event(outcome: Outcome, tenant_id: str, kind: str) -> Row:
    return event_row(
        tenant_id,
        outcome.message_id,
        outcome.n,
        kind,
        outcome.at,
        attempt=outcome.attempt,
        reply=outcome.reply,
        enhanced=outcome.enhanced,
        peer=outcome.peer,
    )
