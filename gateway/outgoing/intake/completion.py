"""What acceptance adds to a header and takes from it, before it is signed (RFC 6409 §8).

Everything else stays as it came, byte for byte.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.mail.headers import Field, HeaderBlock

if TYPE_CHECKING:
    from gateway.outgoing.intake.values import ClientInfo

REMOVED = frozenset({b"bcc", b"resent-bcc", b"x-gatepost-stream", b"x-gatepost-tag", b"x-gatepost-metadata"})

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PLAIN = re.compile(r"[A-Za-z0-9.\-:\[\]_]{1,255}")


@dataclass(frozen=True, slots=True)
class Trace:
    """What the Received field of one message says.

    `for_address` is named only where there is one recipient; `hide_client` leaves out where the
    message came from.
    """

    hostname: str
    message_id: str
    client: ClientInfo | None
    for_address: str | None
    hide_client: bool
    at: float
    smtputf8: bool


def complete_header(header: HeaderBlock, trace: Trace, message_id_domain: str) -> HeaderBlock:
    """The header to sign: Received first, Date and Message-ID if missing, Bcc and our own fields gone."""
    fields: list[Field] = [make_field(b"Received", received_value(trace))]
    seen_date = seen_id = False
    for field in header.fields:
        key = field.key
        if key in REMOVED:
            continue
        seen_date = seen_date or key == b"date"
        seen_id = seen_id or key == b"message-id"
        fields.append(field)
    if not seen_date:
        fields.append(make_field(b"Date", rfc_date(trace.at).encode("ascii")))
    if not seen_id:
        fields.append(make_field(b"Message-ID", f"<{trace.message_id}@{message_id_domain}>".encode()))
    return HeaderBlock(tuple(fields))


def make_field(name: bytes, value: bytes) -> Field:
    """A field of ours. `value` may be folded; a line end that does not fold is a mistake of the caller.

    Raises ValueError then.
    """
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\r\n(?![ \t])|\x00", value):
        raise ValueError("a header value may not end its own line")
    return Field(name, name + b": " + value + b"\r\n")


def received_value(trace: Trace) -> bytes:
    """The value of the trace field (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3)."""
    lines: list[str] = []
    protocol = "SMTP"
    if trace.client is not None:
        protocol = trace.client.protocol
        if trace.smtputf8:
            protocol = {"ESMTP": "UTF8SMTP", "ESMTPS": "UTF8SMTPS", "ESMTPA": "UTF8SMTPA"}.get(
                protocol, "UTF8SMTPSA" if protocol == "ESMTPSA" else protocol
            )
        if not trace.hide_client:
            lines.append(f"from {_shown(trace.client.helo)} ({_literal(trace.client.address)})")
    lines.append(f"by {trace.hostname} (Gatepost) with {protocol} id {trace.message_id}")
    if trace.client is not None and trace.client.tls and not trace.hide_client:
        lines.append(f"({trace.client.tls})")
    if trace.for_address is not None:
        lines.append(f"for <{trace.for_address}>")
    return ("\r\n\t".join(lines) + f"; {rfc_date(trace.at)}").encode("utf-8")


def rfc_date(at: float) -> str:
    """A date field's value in UTC (RFC 5322 §3.3): `-0000` would say that the zone is not known."""
    moment = time.gmtime(at)
    return (
        f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02d} {_MONTHS[moment.tm_mon - 1]} {moment.tm_year:04d} "
        f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d} +0000"
    )


def only_recipient(addresses: Sequence[str]) -> str | None:
    """The address for the `for` clause: of a single recipient, else nobody learns of the others."""
    return addresses[0] if len(addresses) == 1 else None


def _shown(helo: str) -> str:
    return helo if _PLAIN.fullmatch(helo) else "unknown"


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
