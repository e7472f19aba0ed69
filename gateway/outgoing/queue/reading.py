"""Reading one location's queue and records for operators. No changes here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.outgoing.queue import lookup, tables
from gateway.outgoing.queue.search import summary_of
from gateway.outgoing.queue.states import LIVE, State
from gateway.outgoing.queue.tables import IS_LIVE
from gateway.outgoing.queue.views import (
    CredentialUse,
    MessageDetail,
    MessageView,
    QueueRow,
    RefusedRecord,
    RefusedView,
    SignInView,
    TraceEvent,
)
from gateway.outgoing.queue.visibility import own

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.records import Actor

_MOST_TRACED = 100


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which recipients to list. `state` is a state's name, "live" or "all"; None elsewhere: any."""

    state: str = "live"
    tenant_id: str | None = None
    account_id: str | None = None
    shard_id: str | None = None
    recipient: str | None = None
    message_id: str | None = None
    actor: Actor | None = None


def queue_rows(
    connection: Connection,
    wanted: QueueFilter,
    limit: int,
    location: str,
    *,
    after: tuple[str, int] | None = None,
) -> list[QueueRow]:
    """Recipients, the oldest message first; those `after` a message's id and a recipient's number."""
    message, recipient = tables.message, tables.recipient
    query = sa.select(recipient, message.c.account_id, message.c.reverse_path).join(
        message, message.c.id == recipient.c.message_id
    )
    if wanted.state == "live":
        query = query.where(sa.text(IS_LIVE.replace("state", "recipient.state")))
    elif wanted.state in {state.value for state in LIVE}:
        condition = IS_LIVE.replace("state", "recipient.state")
        query = query.where(sa.text(condition), recipient.c.state == wanted.state)
    elif wanted.state != "all":
        query = query.where(recipient.c.state == wanted.state)
    for column, value in (
        (recipient.c.tenant_id, wanted.tenant_id),
        (message.c.account_id, wanted.account_id),
        (recipient.c.shard_id, wanted.shard_id),
        (recipient.c.message_id, wanted.message_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.actor is not None:
        query = query.where(own(wanted.actor, message))
    if after is not None:
        query = query.where(sa.tuple_(recipient.c.message_id, recipient.c.n) > after)
    if wanted.recipient is not None:
        query = query.where(sa.func.lower(recipient.c.address) == wanted.recipient.lower())
    query = query.order_by(recipient.c.message_id, recipient.c.n).limit(limit)
    return [queue_row(row, row.account_id, row.reverse_path, location) for row in connection.execute(query)]


def live_counts(connection: Connection, actor: Actor | None = None) -> dict[str, int]:
    """How many recipients are in each live state, of those a caller may see; nobody in it: 0."""
    recipient, message = tables.recipient, tables.message
    query = sa.select(recipient.c.state, sa.func.count()).group_by(recipient.c.state)
    query = query.where(sa.text(IS_LIVE.replace("state", "recipient.state")))
    if actor is not None and not actor.spans_tenant:
        query = query.join(message, message.c.id == recipient.c.message_id).where(own(actor, message))
    elif actor is not None:
        query = query.where(own(actor, recipient))
    return {name.value: 0 for name in LIVE} | {row[0]: row[1] for row in connection.execute(query)}


def oldest_waiting(connection: Connection) -> float | None:
    """Since when the oldest recipient waits that could be sent to now or later; None if there is none."""
    columns = tables.recipient.c
    waiting = (State.READY.value, State.WAITING.value)
    query = sa.select(sa.func.min(columns.queued_at)).where(
        columns.state.in_(waiting), columns.parked.is_(None), sa.text(IS_LIVE)
    )
    oldest: float | None = connection.scalar(query)
    return oldest


def queue_row(row: Any, account_id: str | None, sender: str, location: str) -> QueueRow:
    """The view of a recipient's row."""
    return QueueRow(
        id=row.message_id,
        n=row.n,
        tenant_id=row.tenant_id,
        account_id=account_id,
        sender=sender,
        recipient=row.address,
        shard_id=row.shard_id,
        state=row.state,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_reply=row.last_reply,
        parked=row.parked,
        stream=row.stream,
        location=location,
        queued_at=row.queued_at,
        give_up_at=row.give_up_at,
    )


def message_view(
    connection: Connection, message_id: str, tenant_id: str | None, location: str
) -> MessageView | None:
    """One message; None if it is not here, or not of `tenant_id` (None: of any)."""
    message = tables.message
    row = connection.execute(sa.select(message).where(message.c.id == message_id)).first()
    if row is None or tenant_id not in (None, row.tenant_id):
        return None
    wanted = QueueFilter(state="all", message_id=message_id)
    policy = f"{row.policy_name}@{row.policy_version}" if row.policy_name else None
    return MessageView(
        id=row.id,
        location=location,
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        workspace_id=row.workspace_id,
        environment=row.environment,
        origin=row.origin,
        stream=row.stream,
        sender=row.reverse_path,
        from_address=row.from_address,
        header_message_id=row.header_message_id,
        subject=row.subject,
        size=row.size,
        received_at=row.received_at,
        policy=policy,
        hold_rule=row.hold_rule,
        client_address=row.client_address,
        tags=tuple(json.loads(row.tags)) if row.tags else (),
        recipients=tuple(queue_rows(connection, wanted, 100_000, location)),
    )


def message_details(
    connection: Connection, actor: Actor, message_id: str, location: str
) -> list[MessageDetail]:
    """One message with everything; none if it is not here, or not for `actor`."""
    message = tables.message
    row = connection.execute(
        sa.select(message).where(message.c.id == message_id, own(actor, message))
    ).first()
    if row is None:
        return []
    rows = queue_rows(connection, QueueFilter(state="all", message_id=message_id), 100_000, location)
    summary = summary_of(row, Counter(one.state for one in rows), location)
    events = _events(connection, [message_id], actor, location)
    return [MessageDetail(summary, row.client_address, tuple(rows), tuple(events))]


def trace(connection: Connection, what: str, actor: Actor, location: str) -> list[TraceEvent]:
    """The history of a message id, or of the newest messages with a Message-ID or recipient, in order.

    A Message-ID is found without its angle brackets too: logs and mail programs show it so.
    """
    known = connection.scalar(sa.select(tables.message.c.id).where(tables.message.c.id == what.lower()))
    ids = [known] if known is not None else lookup.find(connection, what, _MOST_TRACED)
    if not ids and "@" in what:
        ids = lookup.find(connection, f"<{what}>", _MOST_TRACED)
    return _events(connection, ids, actor, location)


def _events(connection: Connection, ids: list[str], actor: Actor, location: str) -> list[TraceEvent]:
    event, message, recipient = tables.event, tables.message, tables.recipient
    query = (
        sa.select(event, recipient.c.address)
        .outerjoin(
            recipient, sa.and_(recipient.c.message_id == event.c.message_id, recipient.c.n == event.c.n)
        )
        .join(message, message.c.id == event.c.message_id)
        .where(event.c.message_id.in_(ids), own(actor, message))
        .order_by(event.c.message_id, event.c.id)
    )
    return [
        TraceEvent(
            row.at,
            row.message_id,
            row.kind,
            row.address,
            row.attempt,
            row.peer,
            row.reply,
            row.actor,
            row.tenant_id,
            location,
        )
        for row in connection.execute(query)
    ]


def refusals(
    connection: Connection, tenant_id: str | None, account_id: str | None, limit: int, location: str
) -> list[RefusedView]:
    """Refused submissions, the newest first."""
    table = tables.refused
    query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    if tenant_id is not None:
        query = query.where(table.c.tenant_id == tenant_id)
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    return [
        RefusedView(
            row.at,
            row.tenant_id,
            row.account_id,
            row.client_address,
            row.reverse_path,
            row.from_address,
            tuple(json.loads(row.recipients)),
            row.recipient_count,
            row.reply,
            row.rule,
            location,
        )
        for row in connection.execute(query)
    ]


def refused_rows(
    connection: Connection,
    actor: Actor,
    wanted: Mapping[str, str],
    before: int | None,
    limit: int,
    location: str,
) -> list[RefusedRecord]:
    """Refused submissions with a number below `before`, the newest first; `wanted` by column."""
    table = tables.refused
    query = sa.select(table).where(own(actor, table)).order_by(table.c.id.desc()).limit(limit)
    query = query.where(*(table.c[name] == value for name, value in wanted.items()))
    if before is not None:
        query = query.where(table.c.id < before)
    return [
        RefusedRecord(
            id=f"{location}-{row.id}",
            tenant_id=row.tenant_id,
            account_id=row.account_id,
            workspace_id=row.workspace_id,
            environment=row.environment,
            created_at=row.at,
            client_address=row.client_address,
            sender=row.reverse_path,
            from_address=row.from_address,
            recipients=tuple(json.loads(row.recipients)),
            recipient_count=row.recipient_count,
            reply=row.reply,
            rule=row.rule,
            location=location,
        )
        for row in connection.execute(query)
    ]


def sign_ins(connection: Connection, account_id: str) -> list[SignInView]:
    """An account's latest sign-in attempts, the newest first."""
    table = tables.sign_in
    query = sa.select(table).where(table.c.account_id == account_id).order_by(table.c.id.desc())
    return [
        SignInView(row.at, row.protocol, row.address, row.outcome, row.credential_id)
        for row in connection.execute(query)
    ]


def credential_uses(connection: Connection, ids: Iterable[str]) -> dict[str, CredentialUse]:
    """The last use of each of these credentials that has one."""
    table = tables.credential_use
    query = sa.select(table).where(table.c.credential_id.in_(list(ids)))
    return {row.credential_id: CredentialUse(row.used_at, row.address) for row in connection.execute(query)}


def keys_in_use(connection: Connection, wanted: set[str]) -> set[str]:
    """Which of these signing keys the signature of a message in the queue names."""
    if not wanted:
        return set()
    named = connection.scalars(sa.select(tables.message_body.c.key_ids).distinct())
    return wanted & {key for text in named for key in text.split()}
