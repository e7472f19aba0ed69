"""Messages a page at a time, the newest first: by whose they are, what became of them, and their words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.outgoing.queue import lookup, tables
from gateway.outgoing.queue.lookup import first_id_at
from gateway.outgoing.queue.states import LIVE
from gateway.outgoing.queue.tables import IS_LIVE
from gateway.outgoing.queue.views import MessageSummary
from gateway.outgoing.queue.visibility import own

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.records import Actor

_LIVE_STATES = frozenset(state.value for state in LIVE)


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages. `since` (included) and `until` (not) are seconds since 1970; None: any.

    `state`: at least one recipient is in it, or in any live one ("live"). `message_id` is the header's.
    """

    tenant_id: str | None = None
    account_id: str | None = None
    workspace_id: str | None = None
    state: str | None = None
    stream: str | None = None
    since: float | None = None
    until: float | None = None
    recipient: str | None = None
    message_id: str | None = None


def find_messages(
    connection: Connection, actor: Actor, wanted: MessageFilter, before: str | None, limit: int, location: str
) -> list[MessageSummary]:
    """At most `limit` messages older than the one called `before`, the newest first."""
    message = tables.message
    query = sa.select(message).where(own(actor, message), *_conditions(wanted))
    if before is not None:
        query = query.where(message.c.id < before)
    query = query.order_by(message.c.id.desc()).limit(limit)
    key = _key(actor, wanted)
    if key is None:
        rows = list(connection.execute(query))
    else:
        mark = lookup.mark(connection)
        entered = sa.select(tables.lookup.c.message_id).where(tables.lookup.c.key == key)
        rows = list(connection.execute(query.where(message.c.id > mark, *_words(wanted))))
        if len(rows) < limit:
            old = query.where(message.c.id <= mark, message.c.id.in_(entered), *_words(wanted))
            rows += connection.execute(old.limit(limit - len(rows))).all()
    counts = states_of(connection, [row.id for row in rows])
    return [summary_of(row, counts.get(row.id, {}), location) for row in rows]


def _key(actor: Actor, wanted: MessageFilter) -> str | None:
    """The entry of the look-up table that leaves the fewest messages to look at."""
    for kind, value in (
        ("", wanted.message_id),
        ("", wanted.recipient),
        ("account", wanted.account_id),
        ("tenant", wanted.tenant_id or actor.tenant_id),
    ):
        if value is not None:
            return lookup.key_of(value) if not kind else lookup.owner_key(kind, value)
    return None


def _conditions(wanted: MessageFilter) -> list[sa.ColumnElement[bool]]:
    message = tables.message
    columns = (
        (message.c.tenant_id, wanted.tenant_id),
        (message.c.account_id, wanted.account_id),
        (message.c.workspace_id, wanted.workspace_id),
        (message.c.stream, wanted.stream),
    )
    found: list[sa.ColumnElement[bool]] = [column == value for column, value in columns if value is not None]
    # Ids begin with the time, so that these are ranges of the key.
    if wanted.since is not None:
        found.append(message.c.id >= first_id_at(wanted.since))
    if wanted.until is not None:
        found.append(message.c.id < first_id_at(wanted.until))
    if wanted.state is not None:
        found.append(_in_state(wanted.state))
    return found


def _in_state(state: str) -> sa.ColumnElement[bool]:
    message, recipient = tables.message, tables.recipient
    live = sa.text(IS_LIVE.replace("state", "recipient.state"))
    if state == "live":
        return message.c.id.in_(sa.select(recipient.c.message_id).where(live))
    if state in _LIVE_STATES:
        return message.c.id.in_(sa.select(recipient.c.message_id).where(live, recipient.c.state == state))
    # Most recipients are finished: look at the message's own, not for every such recipient.
    return sa.exists().where(recipient.c.message_id == message.c.id, recipient.c.state == state)


def _words(wanted: MessageFilter) -> list[sa.ColumnElement[bool]]:
    """What the look-up table knows as hashes only, asked of the messages themselves."""
    message, recipient = tables.message, tables.recipient
    found: list[sa.ColumnElement[bool]] = []
    if wanted.message_id is not None:
        found.append(sa.func.lower(message.c.header_message_id) == wanted.message_id.lower())
    if wanted.recipient is not None:
        address = sa.func.lower(recipient.c.address) == wanted.recipient.lower()
        found.append(sa.exists().where(recipient.c.message_id == message.c.id, address))
    return found


def states_of(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many recipients of each of these messages are in each state."""
    recipient = tables.recipient
    query = (
        sa.select(recipient.c.message_id, recipient.c.state, sa.func.count())
        .where(recipient.c.message_id.in_(ids))
        .group_by(recipient.c.message_id, recipient.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for message_id, state, count in connection.execute(query):
        found.setdefault(message_id, {})[state] = count
    return found


def summary_of(row: Any, states: Mapping[str, int], location: str) -> MessageSummary:
    """The view of a message's row; `states` are its recipients'."""
    return MessageSummary(
        id=row.id,
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        workspace_id=row.workspace_id,
        environment=row.environment,
        created_at=row.received_at,
        origin=row.origin,
        stream=row.stream,
        tags=tuple(json.loads(row.tags)) if row.tags else (),
        metadata=json.loads(row.metadata) if row.metadata else {},
        sender=row.reverse_path,
        from_address=row.from_address,
        message_id=row.header_message_id,
        subject=row.subject,
        size=row.size,
        send_at=row.scheduled_at,
        policy=row.policy_name,
        policy_version=int(row.policy_version) if row.policy_version else None,
        hold_rule=row.hold_rule,
        recipients=sum(states.values()),
        states=dict(sorted(states.items())),
        location=location,
    )
