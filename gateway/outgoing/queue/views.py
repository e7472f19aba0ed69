"""What operators see of a queue: plain values for the CLI and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One recipient of one message. `id` is the message's; times are seconds since 1970 (UTC)."""

    id: str
    n: int
    tenant_id: str
    account_id: str | None
    sender: str
    recipient: str
    shard_id: str
    state: str
    attempts: int
    next_attempt_at: float | None
    last_reply: str | None
    parked: str | None
    stream: str
    location: str
    queued_at: float
    give_up_at: float


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message with its recipients."""

    id: str
    location: str
    tenant_id: str
    account_id: str | None
    workspace_id: str | None
    environment: str
    origin: str
    stream: str
    sender: str
    from_address: str
    header_message_id: str | None
    subject: str | None
    size: int
    received_at: float
    policy: str | None
    hold_rule: str | None
    client_address: str | None
    tags: tuple[str, ...]
    recipients: tuple[QueueRow, ...]


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """One message in a list. `policy` at `policy_version` decided about it; `message_id` is the header's.

    `send_at`: it was scheduled for then. `states`: how many of its `recipients` are in each state. Times
    are seconds since 1970 (UTC).
    """

    id: str
    tenant_id: str
    account_id: str | None
    workspace_id: str | None
    environment: str
    created_at: float
    origin: str
    stream: str
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    sender: str
    from_address: str
    message_id: str | None
    subject: str | None
    size: int
    send_at: float | None
    policy: str | None
    policy_version: int | None
    hold_rule: str | None
    recipients: int
    states: Mapping[str, int]
    location: str


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """One message with each recipient (and the shard that handles it), and all that happened to it."""

    summary: MessageSummary
    client_address: str | None
    recipients: tuple[QueueRow, ...]
    events: tuple[TraceEvent, ...]


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One step of a message's life. `recipient` is None where it concerns all of them."""

    at: float
    message_id: str
    kind: str
    recipient: str | None
    attempt: int | None
    peer: str | None
    reply: str | None
    actor: str | None
    tenant_id: str
    location: str


@dataclass(frozen=True, slots=True)
class RefusedView:
    """A submission that was not taken. `recipients` are the first of `recipient_count`."""

    at: float
    tenant_id: str
    account_id: str | None
    client_address: str | None
    reverse_path: str | None
    from_address: str | None
    recipients: tuple[str, ...]
    recipient_count: int
    reply: str
    rule: str
    location: str


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A refused submission in a list: as `RefusedView`, with an id of its own."""

    id: str
    tenant_id: str
    account_id: str | None
    workspace_id: str | None
    environment: str | None
    created_at: float
    client_address: str | None
    sender: str | None
    from_address: str | None
    recipients: tuple[str, ...]
    recipient_count: int
    reply: str
    rule: str
    location: str


@dataclass(frozen=True, slots=True)
class SignInView:
    """One sign-in attempt of an account, with its true reason."""

    at: float
    protocol: str
    address: str | None
    outcome: str
    credential_id: str | None


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """When and from where an app password was last used."""

    last_used_at: float
    last_used_address: str | None
