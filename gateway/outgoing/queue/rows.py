"""From a new message to its rows and its deliveries. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.outgoing.queue import retry
from gateway.outgoing.queue.states import State
from gateway.outgoing.queue.values import (
    ContentSource,
    Delivery,
    NewMessage,
    NewRecipient,
    QueuedRecipient,
    Stored,
    StoredContent,
    StoredMessage,
)

if TYPE_CHECKING:
    from gateway.outgoing.queue.inbox import Prepared

Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """The rows of one batch, a list for each table: each list is one statement."""

    message: list[Row] = field(default_factory=list)
    body: list[Row] = field(default_factory=list)
    recipient: list[Row] = field(default_factory=list)
    event: list[Row] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)


def notify_text(notify: frozenset[str]) -> str:
    """NOTIFY as it is kept: `DELAY,FAILURE`, empty if the client gave none."""
    return ",".join(sorted(notify)) if notify else ""


def notify_set(text: str) -> frozenset[str]:
    """The other way round."""
    return frozenset(text.split(",")) if text else frozenset()


def event_row(
    tenant_id: str,
    message_id: str,
    n: int | None,
    kind: str,
    at: float,
    *,
    attempt: int | None = None,
    reply: str | None = None,
    enhanced: str | None = None,
    peer: str | None = None,
    actor: str | None = None,
) -> Row:
    """One row of a message's history."""
    return {
        "tenant_id": tenant_id,
        "message_id": message_id,
        "n": n,
        "kind": kind,
        "at": at,
        "attempt": attempt,
        "reply": reply,
        "enhanced": enhanced,
        "peer": peer,
        "actor": actor,
    }


def add_message(
    rows: Rows,
    prepared: Prepared,
    release_at: float | None,
    owner: str,
    now: float,
    source: ContentSource,
    *,
    hand_over: bool = False,
) -> Stored:
    """Append the rows of one accepted message to `rows`.

    `hand_over`: `owner` takes all recipients that can go now, not only those that ask for it.
    `release_at` in the future makes it scheduled. Returns what its client and the relay get once
    the transaction has committed.
    """
    message = prepared.message
    state, stored_state = _states(message, release_at)
    rows.message.append(_message_row(message))
    rows.body.append(_body_row(prepared))
    if prepared.facts is not None:
        rows.facts.append(_facts_row(message, prepared.facts, now))
    no_notice = message.reverse_path == ""
    lanes: dict[tuple[str, str], list[QueuedRecipient]] = {}
    for n, recipient in enumerate(message.recipients, 1):
        notified = no_notice or bool(recipient.notify and "DELAY" not in recipient.notify)
        taker = owner if hand_over or recipient.hand_over else None
        row = _recipient_row(message, n, recipient, state, release_at, taker, now, notified)
        rows.recipient.append(row)
        if row["state"] == State.OWNED:
            lane = lanes.setdefault((recipient.shard_id, recipient.domain), [])
            lane.append(_queued(n, recipient, row, notified))
    _add_events(rows, message, state, now)
    deliveries: tuple[Delivery, ...] = ()
    if lanes:
        facts = facts_of(message)
        carried = StoredContent(message.content, prepared.signatures)
        deliveries = tuple(
            Delivery(facts, shard_id, domain, tuple(recipients), source, carried)
            for (shard_id, domain), recipients in lanes.items()
        )
    return Stored(message.id, stored_state, release_at, deliveries)


def _states(message: NewMessage, release_at: float | None) -> tuple[State | None, State]:
    """The state that all recipients get, if it is the message's; and the one to answer with."""
    if message.hold_rule is not None:
        return State.HELD, State.HELD
    if release_at is not None:
        return State.SCHEDULED, State.SCHEDULED
    return None, State.READY


def _add_events(rows: Rows, message: NewMessage, state: State | None, now: float) -> None:
    rows.event.append(event_row(message.tenant_id, message.id, None, "accepted", now))
    if state is State.HELD:
        rows.event.append(
            event_row(
                message.tenant_id, message.id, None, "held", now, reply=message.hold_rule, actor="policy"
            )
        )


def _message_row(message: NewMessage) -> Row:
    return {
        "id": message.id,
        "tenant_id": message.tenant_id,
        "account_id": message.account_id,
        "workspace_id": message.workspace_id,
        "credential_id": message.credential_id,
        "environment": message.environment,
        "origin": message.origin,
        "stream": message.stream,
        "tags": json.dumps(message.tags) if message.tags else None,
        "metadata": json.dumps(dict(message.metadata)) if message.metadata else None,
        "reverse_path": message.reverse_path,
        "from_address": message.from_address,
        "from_domain": message.from_domain,
        "header_message_id": message.header_message_id,
        "subject": message.subject,
        "envid": message.envid,
        "ret": message.ret,
        "smtputf8": message.smtputf8,
        "eightbit": message.eightbit,
        "size": message.size,
        "policy_name": message.policy_name,
        "policy_version": message.policy_version,
        "hold_rule": message.hold_rule,
        "scheduled_at": message.scheduled_at,
        "received_at": message.received_at,
        "client_address": message.client_address,
    }


def _body_row(prepared: Prepared) -> Row:
    message, signatures = prepared.message, prepared.signatures
    return {
        "message_id": message.id,
        "tenant_id": message.tenant_id,
        "content": message.content if prepared.blob_key is None else None,
        "blob_key": prepared.blob_key,
        "signature_header": signatures.header,
        "key_ids": " ".join(signatures.key_ids),
        "body_hash": signatures.body_hash,
        "signed_at": signatures.signed_at,
    }


def _facts_row(message: NewMessage, facts: str, now: float) -> Row:
    return {
        "message_id": message.id,
        "tenant_id": message.tenant_id,
        "workspace_id": message.workspace_id or "",
        "at": now,
        "facts": facts,
    }


def _recipient_row(
    message: NewMessage,
    n: int,
    recipient: NewRecipient,
    state: State | None,
    release_at: float | None,
    owner: str | None,
    now: float,
    notified: bool,
) -> Row:
    parked = recipient.paused and state is None
    if state is None:
        state = State.WAITING if parked else State.OWNED if owner is not None else State.READY
    owned = state is State.OWNED
    late_at = None
    if parked:
        late_at = retry.late_at(message.received_at, message.give_up_at, delay_notified=notified, parked=True)
    return {
        "message_id": message.id,
        "n": n,
        "tenant_id": message.tenant_id,
        "stream": message.stream,
        "shard_id": recipient.shard_id,
        "domain": recipient.domain,
        "address": recipient.address,
        "state": state.value,
        "parked": "shard" if parked else None,
        "attempts": 1 if owned else 0,
        "owner": owner if owned else None,
        "next_attempt_at": release_at if state is State.SCHEDULED else None,
        "late_at": late_at,
        "queued_at": message.received_at,
        "give_up_at": message.give_up_at,
        "stopped_at": now if state is State.HELD or state is State.SCHEDULED else None,
        "notify": notify_text(recipient.notify),
        "orcpt": recipient.orcpt,
        "delay_notified": notified,
        "last_reply": None,
        "changed_at": now,
    }


def _queued(n: int, recipient: NewRecipient, row: Row, notified: bool) -> QueuedRecipient:
    return QueuedRecipient(
        n,
        recipient.address,
        row["attempts"],
        recipient.notify,
        recipient.orcpt,
        row["queued_at"],
        row["give_up_at"],
        notified,
    )


def facts_of(message: NewMessage) -> StoredMessage:
    """The facts that an attempt needs, of a message just stored."""
    return StoredMessage(
        message.id,
        message.tenant_id,
        message.account_id,
        message.workspace_id,
        message.environment,
        message.origin,
        message.stream,
        message.reverse_path,
        message.from_address,
        message.from_domain,
        message.size,
        message.received_at,
        message.header_message_id,
        message.envid,
        message.ret,
        message.smtputf8,
        message.eightbit,
    )
