"""What enters the queue, what the relay gets from it, and what it reports back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.outgoing.queue.states import State
    from gateway.outgoing.quota import Charge
    from gateway.outgoing.signing import Signatures

CHARGED_ORIGINS = frozenset({"submission", "api", "forward"})
"""Whose mail takes from quotas and counts as use; the rest is the gateway's own."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One recipient of a message to be stored.

    `domain` is the A-label, lower-case recipient domain: the destination. `hand_over` asks for the
    row to be owned by this worker at once and returned as a delivery (the relay has reserved the
    memory). `paused`: its shard or tenant is paused, so it is stored waiting.
    """

    address: str
    domain: str
    shard_id: str
    notify: frozenset[str] = frozenset()
    orcpt: str | None = None
    hand_over: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class OnceKey:
    """A key of the caller's under which an account's message is stored once a day.

    `digest` tells whether a second message under the same key is the same.
    """

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One message that policy has accepted, to be made durable.

    `content` is the completed header, an empty line and the body, with CRLF line ends, unsigned.
    `sign` is called once in the store thread, outside every lock; if it raises a `Refusal`, that is
    the answer for this message. `reverse_path` is "" for the null one. `first_time` are the
    recipients' comparison keys, looked up only if `charges` has a limit on first-time recipients.
    `facts` gives what is kept for replays, called in the store thread as `sign` is. With `once` a
    message that is there already is not stored again.
    `give_up_at` counts from `received_at`, as if the clock never stood; times are seconds since
    1970 (UTC), `size` is octets of `content`.
    """

    id: str
    tenant_id: str
    account_id: str | None
    workspace_id: str | None
    environment: str
    origin: str
    stream: str
    reverse_path: str
    from_address: str
    from_domain: str
    size: int
    content: bytes = field(repr=False)
    sign: Callable[[], Signatures] = field(repr=False, compare=False)
    recipients: tuple[NewRecipient, ...]
    give_up_at: float
    received_at: float
    credential_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    header_message_id: str | None = None
    subject: str | None = None
    envid: str | None = None
    ret: str | None = None
    smtputf8: bool = False
    eightbit: bool = False
    charges: tuple[Charge, ...] = ()
    first_time: tuple[str, ...] = ()
    policy_name: str | None = None
    policy_version: str | None = None
    hold_rule: str | None = None
    scheduled_at: float | None = None
    client_address: str | None = None
    facts: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    once: OnceKey | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """The facts of a stored message that an attempt needs."""

    id: str
    tenant_id: str
    account_id: str | None
    workspace_id: str | None
    environment: str
    origin: str
    stream: str
    reverse_path: str
    from_address: str
    from_domain: str
    size: int
    received_at: float
    header_message_id: str | None
    envid: str | None
    ret: str | None
    smtputf8: bool
    eightbit: bool

    @property
    def used_by(self) -> str | None:
        """The workspace in whose use it counts; None for the gateway's own mail."""
        return self.workspace_id if self.origin in CHARGED_ORIGINS else None


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient of a delivery: a row this worker owns.

    `n` numbers the recipients of a message from 1. (`attempt`, this worker) is the proof of
    ownership that every outcome must carry. `queued_at` is the start of its life and `give_up_at`
    its end; both have been moved on by the time the clock stood. `delay_notified`: a delay DSN has
    gone out, or nobody wants one. `next_attempt_at` and `parked` are what a late delivery was waiting
    for: if it is only told of the delay, the outcome puts them back.
    """

    n: int
    address: str
    attempt: int
    notify: frozenset[str]
    orcpt: str | None
    queued_at: float
    give_up_at: float
    delay_notified: bool
    last_reply: str | None = None
    next_attempt_at: float | None = None
    parked: str | None = None


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A message as it lies in the queue: unsigned octets, and the signatures beside them."""

    content: bytes = field(repr=False)
    signatures: Signatures


class ContentSource(Protocol):
    """Reads what a delivery does not carry in memory."""

    async def load(self, message_id: str) -> StoredContent:
        """The content of one message. Raises ContentGone or a Refusal if the database is away."""
        ...


class ContentGone(Exception):
    """The body of a message is not there: it is finished, or its blob was lost."""

    def __init__(self, message_id: str, why: str) -> None:
        super().__init__(f"the body of message {message_id} cannot be read: {why}")
        self.message_id = message_id


class Purpose(StrEnum):
    """Why a delivery is in the relay's hands."""

    ATTEMPT = "attempt"
    LATE = "late"
    """No attempt is due: its life is over, or a delay notice is due (see `retry.next_step`)."""


class OutcomeKind(StrEnum):
    """How an attempt for one recipient ended. `unknown` is not an end: the answer is awaited."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    HANDED_BACK = "handed_back"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt for one recipient, written with all that follows from it.

    `message_id`, `n`, `attempt` and `tenant_id` are the delivery's. Only `deferred` has
    `next_attempt_at` (None: parked until its shard or tenant is resumed, then `parked` is "shard" or
    "tenant"). `dsn` is stored in the same transaction. `delay_notified` marks that the delay DSN is
    dealt with. `possible_duplicate` records that the peer may have taken the message although it did
    not say so. `used_by`: the workspace in whose use a delivery counts; None for the gateway's own mail.
    """

    message_id: str
    n: int
    attempt: int
    kind: OutcomeKind
    at: float
    tenant_id: str
    reply: str = ""
    enhanced: str | None = None
    peer: str | None = None
    next_attempt_at: float | None = None
    parked: str | None = None
    dsn: NewMessage | None = None
    delay_notified: bool = False
    possible_duplicate: bool = False
    used_by: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Recipients of one message that share shard and destination; each row owned by this worker."""

    message: StoredMessage
    shard_id: str
    destination: str
    recipients: tuple[QueuedRecipient, ...]
    source: ContentSource = field(repr=False, compare=False)
    carried: StoredContent | None = field(default=None, repr=False, compare=False)
    purpose: Purpose = Purpose.ATTEMPT

    async def load(self) -> StoredContent:
        """The message's octets and signatures: from memory if carried, else read in a thread.

        Raises ContentGone if they are lost.
        """
        if self.carried is not None:
            return self.carried
        return await self.source.load(self.message.id)

    def handed_back(self, at: float) -> list[Outcome]:
        """The outcomes that give all its recipients back to the queue, as if they had not been taken."""
        late = self.purpose is Purpose.LATE
        return [
            Outcome(
                self.message.id,
                recipient.n,
                recipient.attempt,
                OutcomeKind.DEFERRED if late else OutcomeKind.HANDED_BACK,
                at,
                self.message.tenant_id,
                next_attempt_at=recipient.next_attempt_at,
                parked=recipient.parked,
            )
            for recipient in self.recipients
        ]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message is durable.

    `state` is the state of its recipients: `held`, `scheduled` (until `release_at`), else `ready`
    whether or not some of them are already in `deliveries`. `repeated`: nothing was stored, a message
    with the same key was there; its id, and the state it was stored in.
    """

    id: str
    state: State
    release_at: float | None
    deliveries: tuple[Delivery, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a group of outcomes.

    `stored` are their DSNs; `lost` the outcomes whose row this worker no longer owned: another one
    had recovered it, so that nothing was written for them.
    """

    stored: tuple[Stored, ...] = ()
    lost: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Freed:
    """A row taken back from a worker that is gone. `possible_duplicate`: it may arrive twice."""

    message_id: str
    n: int
    tenant_id: str
    owner: str
    possible_duplicate: bool
