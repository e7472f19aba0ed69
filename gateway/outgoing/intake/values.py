"""What enters the one door for outgoing mail, and what comes back from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.records import Identity
    from gateway.mail.envelope import Envelope
    from gateway.outgoing.policy import GivenOptions
    from gateway.outgoing.queue import OnceKey


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

    `content` is header and body as received, dots removed, line ends as they came. Times are in seconds
    since 1970 (UTC). What only the API can ask for: `options` beside the header's own, `send_at`, until
    which it waits, and `once`, the caller's key under which it is taken a single time.
    """

    identity: Identity
    origin: Origin
    envelope: Envelope
    content: bytes
    client: ClientInfo
    received_at: float
    options: GivenOptions | None = None
    send_at: float | None = None
    once: OnceKey | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message is durable under `id`; `held` if it waits for a person.

    `release_at`: it is scheduled, and leaves then (seconds since 1970, UTC). `repeated`: it was taken
    before, under the same key.
    """

    id: str
    held: bool = False
    release_at: float | None = None
    repeated: bool = False
