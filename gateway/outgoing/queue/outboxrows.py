"""From rows of a location's database to events. Pure, but for the text of the queries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from gateway.control.events.source import Wanted
from gateway.control.events.types import PREFIX, Event, EventType
from gateway.outgoing.queue import tables

KINDS: Mapping[str, EventType] = MappingProxyType(
    {
        "accepted": EventType.MESSAGE_ACCEPTED,
        "delivered": EventType.MESSAGE_DELIVERED,
        "deferred": EventType.MESSAGE_DEFERRED,
        "bounced": EventType.MESSAGE_BOUNCED,
        "expired": EventType.MESSAGE_EXPIRED,
        "held": EventType.MESSAGE_HELD,
        "released": EventType.MESSAGE_RELEASED,
        "dropped": EventType.MESSAGE_DROPPED,
        "complained": EventType.MESSAGE_COMPLAINED,
        "received": EventType.MESSAGE_RECEIVED,
    }
)
"""Kinds of the history that are told; the others (`delayed`, `retried`, …) are for `trace` alone."""

LOOSE = "loose"
"""The kind of what belongs to no message: its type, subject and owner stand in `data`."""


def loose_row(event_type: EventType, tenant_id: str, at: float, data: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an event that belongs to no message.

    `data` are its JSON values; `subject`, `workspace_id`, `account_id` and `environment` in it become the
    event's own. `tenant_id` is "" where it is nobody's in particular.
    """
    text = json.dumps({"type": event_type.value, **data}, separators=(",", ":"))
    return {"tenant_id": tenant_id, "message_id": "", "kind": LOOSE, "at": at, "data": text}


def event_rows(wanted: Wanted) -> sa.Select[Any]:
    """What is told of the history, with the facts of the message and the recipient."""
    event, message, recipient = tables.event, tables.message, tables.recipient
    kinds = [kind for kind, name in KINDS.items() if not wanted.types or name in wanted.types]
    query = (
        sa.select(
            event,
            message.c.account_id,
            message.c.workspace_id,
            message.c.environment,
            message.c.origin,
            message.c.stream,
            message.c.tags,
            message.c.metadata,
            message.c.from_address,
            message.c.header_message_id,
            message.c.subject,
            message.c.policy_name,
            message.c.policy_version,
            recipient.c.address,
            recipient.c.shard_id,
        )
        .outerjoin(message, message.c.id == event.c.message_id)
        .outerjoin(
            recipient, sa.and_(recipient.c.message_id == event.c.message_id, recipient.c.n == event.c.n)
        )
        .where(event.c.kind.in_([*kinds, LOOSE]))
    )
    return query if wanted.tenant_id is None else query.where(event.c.tenant_id == wanted.tenant_id)


def event_of(row: Any, ident: str) -> Event | None:
    """The event of a row, with this id; None if its message is gone meanwhile."""
    if row.kind == LOOSE:
        return _loose(row, ident)
    if row.origin is None:
        return None
    return Event(
        id=ident,
        type=KINDS[row.kind],
        time=row.at,
        subject=f"message/{row.message_id}",
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        account_id=row.account_id,
        environment=row.environment,
        data={
            "message_id": row.message_id,
            "header_message_id": row.header_message_id,
            "from": row.from_address,
            "subject": row.subject,
            "origin": row.origin,
            "stream": row.stream,
            "tags": json.loads(row.tags) if row.tags else [],
            "metadata": json.loads(row.metadata) if row.metadata else {},
            "policy": f"{row.policy_name}@{row.policy_version}" if row.policy_name else None,
            "recipient": row.address,
            "shard_id": row.shard_id,
            "attempt": row.attempt,
            "reply": row.reply,
            "enhanced": row.enhanced,
            "peer": row.peer,
            "by": row.actor,
        },
    )


def refused_rows(wanted: Wanted) -> sa.Select[Any]:
    """Refused submissions."""
    table = tables.refused
    query = sa.select(table)
    if wanted.types and EventType.MESSAGE_REJECTED not in wanted.types:
        query = query.where(sa.false())
    return query if wanted.tenant_id is None else query.where(table.c.tenant_id == wanted.tenant_id)


def refusal_of(row: Any, ident: str) -> Event:
    """The event of a refused submission: there is no message, so the account is its subject."""
    return Event(
        id=ident,
        type=EventType.MESSAGE_REJECTED,
        time=row.at,
        subject=f"account/{row.account_id}" if row.account_id else f"tenant/{row.tenant_id}",
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        account_id=row.account_id,
        environment=row.environment,
        data={
            "from": row.from_address,
            "reverse_path": row.reverse_path,
            "recipients": json.loads(row.recipients),
            "recipient_count": row.recipient_count,
            "reply": row.reply,
            "rule": row.rule,
            "client_address": row.client_address,
        },
    )


def _loose(row: Any, ident: str) -> Event:
    data: dict[str, Any] = json.loads(row.data)
    name = data.pop("type")
    own = {key: data.get(key) for key in ("workspace_id", "account_id", "environment")}
    return Event(
        id=ident,
        type=name,
        time=row.at,
        subject=data.pop("subject", name.removeprefix(PREFIX)),
        tenant_id=row.tenant_id or None,
        data=data,
        **own,
    )
