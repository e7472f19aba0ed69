"""What a session may take of us: sizes, counts and times. `docs/smtp.md` has them in one table."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Ceilings of one SMTP session; sizes are in octets, times in seconds.

    `message_octets` is the most anybody may send (SIZE in EHLO); a policy may allow less.
    `skipped_octets` is the largest BDAT chunk that is read and thrown away before the login (after it: any
    that may be a message); a larger one ends the session. `commands` counts over the connection,
    `junk_commands` those between two messages that bring none nearer (NOOP, RSET, EHLO, VRFY, HELP …, as
    Postfix counts them).
    """

    message_octets: int = 25 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20
    login_attempts: int = 5
    commands: int = 100_000
    junk_commands: int = 100
    skipped_octets: int = 64 * 1024
    connections: int = 5000
    connections_per_address: int = 50

    login_seconds: float = 30.0
    handshake_seconds: float = 10.0
    idle_seconds: float = 300.0
    command_seconds: float = 30.0
    content_window_seconds: float = 30.0
    content_octets_per_second: int = 500
    unread_seconds: float = 60.0
    closing_seconds: float = 10.0
    login_delay_seconds: float = 15.0


def address_group(address: str) -> str:
    """What counts as one client address: an IPv4 address, or the /64 of an IPv6 one.

    Anything that is no address (a Unix socket's peer) is its own group.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return address
