"""Which delivery reports an outcome calls for (RFC 3461 §5, §6), as a request to whoever writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gateway.outgoing.queue import NewMessage, QueuedRecipient, StoredMessage

Action = Literal["failed", "delayed", "relayed"]


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What a report says about one recipient (RFC 3464 §2.3).

    `status` is the enhanced code, `diagnostic` the last SMTP reply in one line, `remote_mta` the
    host that gave it. `retry_until` is set for a delay: when it will be given up.
    """

    address: str
    orcpt: str | None
    action: Action
    status: str
    diagnostic: str
    remote_mta: str | None
    last_attempt_at: float
    retry_until: float | None = None


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """One delivery report to be written and stored in the transaction of the outcome it reports.

    It goes to `message.reverse_path`, which is never the null one; `message.ret` and
    `message.envid` are to be honoured. `content` is the message as it was accepted.
    """

    message: StoredMessage
    recipients: tuple[ReportedRecipient, ...]
    content: bytes = field(repr=False)
    at: float


WriteReport = Callable[[DsnRequest], "NewMessage | None"]
"""Makes the report as a message for the queue; None if there can be none."""


def wants(recipient: QueuedRecipient, action: Action) -> bool:
    """Whether the sender asked for a report of this kind about this recipient.

    Without NOTIFY failures are reported, and delays as well (RFC 3461 §4.1).
    """
    if action == "relayed":
        return "SUCCESS" in recipient.notify
    return not recipient.notify or ("FAILURE" if action == "failed" else "DELAY") in recipient.notify
