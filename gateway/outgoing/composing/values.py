"""What a program says when it sends a message, and what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.control.errors import Invalid
from gateway.mail.address import AddressError, Mailbox, parse_mailbox

NAME_LIMIT = 200
"""Characters of a display name."""

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """An address with the name that is shown for it, if any."""

    mailbox: Mailbox
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file. `type` is a media type; with a `content_id` the HTML shows it as `cid:ID`."""

    name: str
    type: str
    content: bytes = field(repr=False)
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message as values. `sender` is None for the account's own address under its own name.

    `headers` are extra fields, in order; those that say who sent a message or what is in it are not
    allowed there.
    """

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    reply_to: tuple[Address, ...] = ()
    sender: Address | None = None

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """Everybody it goes to."""
        return tuple(address.mailbox for address in (*self.to, *self.cc, *self.bcc))


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as RFC 5322 octets. Without `recipients` it goes to those in its To, Cc and Bcc fields."""

    content: bytes = field(repr=False)
    recipients: tuple[Mailbox, ...] | None = None


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How it is sent. `send_at` is in seconds since 1970 (UTC); one that is past means now.

    `idempotency_key`: the same message under the same key is sent once in 24 hours.
    """

    stream: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    send_at: float | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message is durable under `id`, and where it stands.

    `release_at` (seconds since 1970) is set while it is scheduled: asked for, or because the rate of a
    minute is used up. `repeated`: it had been sent before under the same key.
    """

    id: str
    account_id: str
    tenant_id: str
    state: Literal["queued", "scheduled", "held"]
    release_at: float | None
    repeated: bool


def read_address(text: str, name: str | None = None) -> Address:
    """`local@domain`, or `Name <local@domain>` unless `name` is given. Raises Invalid."""
    said = text.strip()
    if name is None and said.endswith(">"):
        shown_name, _, said = said[:-1].rpartition("<")
        name = _unquoted(shown_name.strip()) or None
    try:
        mailbox = parse_mailbox(said.strip(), smtputf8=True)
    except AddressError as error:
        raise Invalid(
            "bad-address",
            f"{text[:80]!r} is no address: {error}.",
            "Write local@domain or Name <local@domain>.",
        ) from None
    return Address(mailbox, name)


def _unquoted(name: str) -> str:
    if len(name) >= 2 and name.startswith('"') and name.endswith('"'):
        return _QUOTED_PAIR.sub(r"\1", name[1:-1])
    return name
