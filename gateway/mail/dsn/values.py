"""What a delivery status notification is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.mail.envelope import Return

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What became of one recipient.

    `status` is an enhanced status code; `diagnostic` the reply of `remote_mta` as it came, or our
    own words if there is no `remote_mta`. `orcpt` is as in RCPT. Times are in seconds since 1970;
    `retry_until` belongs to `delayed`.
    """

    recipient: str
    action: Action
    status: str
    diagnostic: str = ""
    remote_mta: str | None = None
    orcpt: str | None = None
    last_attempt_at: float | None = None
    retry_until: float | None = None


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """The message that is reported on.

    `content` is as it lies in the queue, CRLF line ends. `envid` is in xtext. `arrived_at` is in
    seconds since 1970. `id` is the queue's.
    """

    id: str
    content: bytes = field(repr=False)
    arrived_at: float
    envid: str | None = None
    ret: Return | None = None
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """The notification's own header.

    `sender` and `recipient` may have a display name; `date` is in seconds since 1970; `message_id`
    has its angle brackets. `mta` is the name of the host that reports.
    """

    sender: str
    recipient: str
    subject: str
    date: float
    message_id: str
    mta: str
