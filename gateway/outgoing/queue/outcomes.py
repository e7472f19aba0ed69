"""Writing outcomes: each changes only a row that its worker still owns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.outgoing.queue.rows import Row, event_row
from gateway.outgoing.queue.statements import Statements, as_json
from gateway.outgoing.queue.values import Outcome, OutcomeKind

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import Connection

_FINISHED = frozenset({OutcomeKind.DELIVERED, OutcomeKind.BOUNCED, OutcomeKind.EXPIRED})


class NotOwned(Exception):
    """At least one outcome of a group matched no row: the transaction must be done again, one by one."""


class OutcomeWriter:
    """Writes the outcomes of one worker incarnation."""

    def __init__(self, statements: Statements, incarnation: str) -> None:
        self._statements = statements
        self._me = incarnation

    def apply(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Write all of them, a statement for each kind. Raises NotOwned if a row is not ours."""
        for statement, rows in self._grouped(outcomes):
            if connection.execute(statement, rows).rowcount != len(rows):
                raise NotOwned

    def apply_singly(self, connection: Connection, outcomes: Sequence[Outcome]) -> set[int]:
        """Write those whose row is still ours; the others' `id()`s are returned."""
        lost = set()
        for outcome in outcomes:
            for statement, rows in self._grouped([outcome]):
                if connection.execute(statement, rows[0]).rowcount != 1:
                    lost.add(id(outcome))
        return lost

    def drop_bodies(self, connection: Connection, outcomes: Iterable[Outcome]) -> list[str]:
        """Remove the bodies of messages that are finished; the keys of their blobs, to be deleted after."""
        ids = {outcome.message_id for outcome in outcomes if outcome.kind in _FINISHED}
        if not ids:
            return []
        gone = connection.execute(self._statements.drop_bodies, {"ids": as_json(ids)})
        return [key for (key,) in gone if key is not None]

    def _grouped(self, outcomes: Iterable[Outcome]) -> list[tuple[sa.TextClause, list[dict[str, Any]]]]:
        texts = self._statements
        groups: dict[int, tuple[sa.TextClause, list[dict[str, Any]]]] = {}
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
