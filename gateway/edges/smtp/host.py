"""What all SMTP sessions of one process share."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.edges.smtp.limits import SessionLimits
from gateway.edges.smtp.registry import SessionRegistry
from gateway.system.clock import Clock
from gateway.system.ids import IdSource


class SmtpMetrics(Protocol):
    """What sessions count. Every method is called on the event loop and must not block."""

    def connection_opened(self) -> None:
        """A client was let in."""
        ...

    def connection_closed(self) -> None:
        """Its connection is gone."""
        ...

    def connection_refused(self, reason: str) -> None:
        """A client was turned away: `address_limit`, `account_limit`, `connection_limit`, `draining`."""
        ...

    def connection_cut(self, reason: str) -> None:
        """A session was ended for its client's fault: a `Due` value, `errors`, `junk` …"""
        ...

    def tls_failed(self) -> None:
        """A handshake behind STARTTLS failed."""
        ...

    def login(self, outcome: str) -> None:
        """A login was decided: `accepted` or a `SignInOutcome`."""
        ...

    def message_accepted(self, octets: int, seconds: float) -> None:
        """A message was stored; `seconds` from its last octet to our 250."""
        ...

    def message_refused(self, code: int) -> None:
        """A message was refused after its last octet."""
        ...

    def session_failed(self) -> None:
        """An unexpected exception was answered with 451."""
        ...


class NoMetrics:
    """Counts nothing: for tests and tools."""

    def connection_opened(self) -> None:
        """Nothing."""

    def connection_closed(self) -> None:
        """Nothing."""

    def connection_refused(self, reason: str) -> None:
        """Nothing."""

    def connection_cut(self, reason: str) -> None:
        """Nothing."""

    def tls_failed(self) -> None:
        """Nothing."""

    def login(self, outcome: str) -> None:
        """Nothing."""

    def message_accepted(self, octets: int, seconds: float) -> None:
        """Nothing."""

    def message_refused(self, code: int) -> None:
        """Nothing."""

    def session_failed(self) -> None:
        """Nothing."""


def no_tls() -> ssl.SSLContext | None:
    """The provider of a host without a certificate."""
    return None


@dataclass(frozen=True)
class SmtpHost:
    """This host as its SMTP sessions know it: one for each process and port family.

    `tls` gives the context for the next handshake, so that a certificate can be exchanged while serving.
    `log` is a structlog logger.
    """

    hostname: str
    limits: SessionLimits
    clock: Clock
    ids: IdSource
    registry: SessionRegistry
    log: Any
    tls: Callable[[], ssl.SSLContext | None] = no_tls
    metrics: SmtpMetrics = field(default_factory=NoMetrics)
    banner: str = "ESMTP Gatepost"
