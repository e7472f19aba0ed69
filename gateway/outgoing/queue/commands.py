"""An operator's changes to recipients: each with its event and its audit row, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.control.errors import Conflict, Forbidden, NotFound
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.audit import LocationAudit
from gateway.outgoing.queue.reading import queue_row
from gateway.outgoing.queue.rows import event_row
from gateway.outgoing.queue.states import FINISHED, LIVE, TAKEN, TRANSITIONS, State, Step
from gateway.outgoing.queue.views import QueueRow
from gateway.outgoing.queue.visibility import own

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.records import Actor

_WORDS = {
    Step.RETRY: ("queue.retry", "retried"),
    Step.HOLD: ("queue.hold", "held"),
    Step.RELEASE: ("queue.release", "released"),
    Step.DROP: ("queue.drop", "dropped"),
}


_OPERATOR, _TENANT = "operator", "tenant"
"""Who held a recipient, in its column `parked`; nothing there: a rule did, when the message came."""


class Commands:
    """Changes to the recipients of one message, on a connection that is in a transaction."""

    def __init__(self, audit: LocationAudit, location: str) -> None:
        self._audit = audit
        self._location = location

    def change(
        self,
        connection: Connection,
        actor: Actor,
        step: Step,
        message_id: str,
        recipient: str | None,
        reason: str,
        now: float,
    ) -> list[QueueRow]:
        """Move the message's recipients (or one) by `step`; those it moved, as they are now.

        Raises NotFound, Conflict if none of them can be moved so, Forbidden if that is not the caller's.
        """
        message, rows = self._read(connection, actor, message_id, recipient)
        allowed = TRANSITIONS[step][0]
        chosen = [row for row in rows if row.state in allowed]
        if not chosen:
            raise _cannot(step, message_id, rows)
        if step is Step.RELEASE:
            chosen = _releasable(actor, message, chosen)
        operation, kind = _WORDS[step]
        before = {str(row.n): row.state for row in chosen}
        for row in chosen:
            self._move(connection, step, row, _values(step, row, message, actor, now))
        who = f"{actor.kind}:{actor.id}"
        connection.execute(
            sa.insert(tables.event).inline(),
            [
                event_row(row.tenant_id, message_id, row.n, kind, now, reply=reason or None, actor=who)
                for row in chosen
            ],
        )
        changed = self._again(connection, message_id, [row.n for row in chosen])
        after = {"states": {str(row.n): row.state for row in changed}, "reason": reason}
        resource = ("message", message_id, message.tenant_id)
        self._audit.append(connection, actor, operation, resource, {"states": before}, after, now)
        return [queue_row(row, message.account_id, message.reverse_path, self._location) for row in changed]

    def drop_body(self, connection: Connection, message_id: str) -> str | None:
        """After a drop: remove the body if nobody is left; the key of its blob, to be deleted after."""
        recipient, body = tables.recipient, tables.message_body
        live = sa.select(recipient.c.n).where(
            recipient.c.message_id == message_id, recipient.c.state.in_([state.value for state in LIVE])
        )
        if connection.execute(live.limit(1)).first() is not None:
            return None
        gone = sa.delete(body).where(body.c.message_id == message_id).returning(body.c.blob_key)
        return connection.scalar(gone)

    def _read(
        self, connection: Connection, actor: Actor, message_id: str, recipient: str | None
    ) -> tuple[Any, Sequence[Any]]:
        table = tables.message
        seen = sa.select(table).where(table.c.id == message_id, own(actor, table))
        message = connection.execute(seen).first()
        if message is None:
            raise not_found(message_id)
        query = sa.select(tables.recipient).where(tables.recipient.c.message_id == message_id)
        rows = connection.execute(query.order_by(tables.recipient.c.n).with_for_update()).all()
        if recipient is not None:
            rows = [row for row in rows if row.address.lower() == recipient.lower()]
            if not rows:
                raise NotFound(
                    "recipient-not-found",
                    f"Message {message_id} has no recipient {recipient}.",
                    f"See `gatepost queue show {message_id}`.",
                )
        return message, rows

    def _move(self, connection: Connection, step: Step, row: Any, values: dict[str, Any]) -> None:
        table = tables.recipient
        moved = connection.execute(
            sa.update(table)
            .where(table.c.message_id == row.message_id, table.c.n == row.n, table.c.state == row.state)
            .values(values)
        )
        assert moved.rowcount == 1, f"{step} moved {moved.rowcount} rows that were locked"

    def _again(self, connection: Connection, message_id: str, numbers: list[int]) -> Sequence[Any]:
        table = tables.recipient
        query = sa.select(table).where(table.c.message_id == message_id, table.c.n.in_(numbers))
        return connection.execute(query.order_by(table.c.n)).all()


def _releasable(actor: Actor, message: Any, held: list[Any]) -> list[Any]:
    """Those of the held recipients that the caller may release. Raises Forbidden if there is none.

    What the operator holds, and what a plan's rule held, is the operator's: a plan is a ceiling.
    """
    by_plan = is_of_plan(message.hold_rule)
    own_ones = [row for row in held if row.parked == _TENANT or (row.parked is None and not by_plan)]
    if actor.is_operator or own_ones:
        return held if actor.is_operator else own_ones
    holder = message.hold_rule if held[0].parked is None else "the operator"
    raise Forbidden(
        "operator-only",
        f"Message {message.id} is held by {holder}.",
        "Ask the platform's operator to release it; to give it up: `gatepost queue drop`.",
    )


def is_of_plan(rule: str | None) -> bool:
    """Whether a rule's name as it is recorded (`plan standard: no executables`) is of a plan."""
    return rule is not None and rule.startswith("plan ")


def _values(step: Step, row: Any, message: Any, actor: Actor, now: float) -> dict[str, Any]:
    values: dict[str, Any] = {"parked": None, "next_attempt_at": None, "late_at": None, "changed_at": now}
    if step is Step.HOLD:
        # A scheduled row's clock stands already.
        holder = _OPERATOR if actor.is_operator else _TENANT
        return values | {"state": State.HELD.value, "stopped_at": row.stopped_at or now, "parked": holder}
    if step is Step.DROP:
        return values | {"state": State.DROPPED.value, "last_reply": f"dropped by {actor.kind}:{actor.id}"}
    if step is Step.RELEASE and message.scheduled_at is not None and message.scheduled_at > now:
        return values | {"state": State.SCHEDULED.value, "next_attempt_at": message.scheduled_at}
    stood = now - row.stopped_at if row.stopped_at is not None else 0.0
    return values | {
        "state": State.READY.value,
        "stopped_at": None,
        "queued_at": row.queued_at + stood,
        "give_up_at": row.give_up_at + stood,
    }


def not_found(message_id: str) -> NotFound:
    """No such message, or not this caller's."""
    return NotFound(
        "message-not-found",
        f"There is no message {message_id} in the queue.",
        "See `gatepost queue list`, or `gatepost trace` with a Message-ID or a recipient.",
    )


def _cannot(step: Step, message_id: str, rows: Sequence[Any]) -> Conflict:
    states = {row.state for row in rows}
    verb = step.value.partition(".")[2]
    if states & set(TAKEN):
        return Conflict(
            "being-attempted",
            f"Message {message_id} is being attempted just now, so it cannot be changed by {verb}.",
            "Try again in a few seconds; an unanswered attempt may take ten minutes.",
        )
    if states <= set(FINISHED):
        return Conflict(
            "finished",
            f"Message {message_id} is finished: {', '.join(sorted(states))}.",
            f"See `gatepost trace {message_id}`.",
        )
    return Conflict(
        "wrong-state",
        f"Message {message_id} is {', '.join(sorted(states))}; {verb} is for recipients that are "
        f"{', '.join(sorted(str(state) for state in TRANSITIONS[step][0]))}.",
        f"See `gatepost queue show {message_id}`.",
    )
