"""What enters the one door for outgoing mail, and what comes back from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.records import Identity
    from gateway.mail.envelope import Envelope


class Origin(StrEnum):
    """Where a message came from: decides which steps of intake apply (see `steps.STEPS`)."""

    SUBMISSION = "submission"
    API = "api"
    FORWARD = "forward"
    DSN = "dsn"
    REPORT = "report"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who handed the message over: the far end of the connection.

    `protocol` is the `with` word of RFC 3848 (`ESMTPSA`, `HTTP` …); `tls` is `"TLSv1.3
    TLS_AES_256_GCM_SHA384"` or None without TLS; `address` is an IP address without port.
    """

    address: str
    port: int
    helo: str
    protocol: str
    tls: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """One message as a client handed it over, not yet looked at.

    `content` is header and body as received, dots removed, line ends as they came.
    `received_at` is in seconds since 1970 (UTC).
    """

    identity: Identity
    origin: Origin
    envelope: Envelope
    content: bytes
    client: ClientInfo
    received_at: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message is durable under `id`; `held` if it waits for a person."""

    id: str
    held: bool = False
