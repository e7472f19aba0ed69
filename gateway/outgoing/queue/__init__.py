"""The durable queue of one location: accepted mail until each recipient's end."""

from gateway.outgoing.queue.records import Records
from gateway.outgoing.queue.service import QueueLocation, QueueService
from gateway.outgoing.queue.states import FINISHED, LIVE, State
from gateway.outgoing.queue.store import QueueStore
from gateway.outgoing.queue.values import (
    ContentGone,
    Delivery,
    Freed,
    NewMessage,
    NewRecipient,
    OnceKey,
    Outcome,
    OutcomeKind,
    Purpose,
    QueuedRecipient,
    Recorded,
    Stored,
    StoredContent,
    StoredMessage,
)

__all__ = [
    "FINISHED",
    "LIVE",
    "ContentGone",
    "Delivery",
    "Freed",
    "NewMessage",
    "NewRecipient",
    "OnceKey",
    "Outcome",
    "OutcomeKind",
    "Purpose",
    "QueueLocation",
    "QueueService",
    "QueueStore",
    "QueuedRecipient",
    "Recorded",
    "Records",
    "State",
    "Stored",
    "StoredContent",
    "StoredMessage",
]
