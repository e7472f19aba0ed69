"""An RFC 5322 message from values. Pure; Message-ID, Received and (mostly) Date are the intake's to add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.control.errors import Invalid
from gateway.outgoing.composing.fields import address_field, text_field, wire_mailbox
from gateway.outgoing.composing.ownfields import own_fields
from gateway.outgoing.composing.parts import Entity, file_entity, multipart, text_entity
from gateway.outgoing.composing.values import NAME_LIMIT, Address, OutgoingMessage
from gateway.outgoing.intake.completion import rfc_date

SUBJECT_LIMIT = 1_000
"""Characters of a subject."""

_NOBODY = b"To: undisclosed-recipients:;\r\n"


@dataclass(frozen=True, slots=True)
class Composed:
    """A message as octets. `smtputf8`: an address in it needs that extension (RFC 6531)."""

    content: bytes
    smtputf8: bool


def compose(message: OutgoingMessage, sender: Address, token: str, send_at: float | None = None) -> Composed:
    """The message From `sender`. `token` makes its boundaries: nobody must be able to guess it.

    With `send_at` (seconds since 1970) that is its date. Raises Invalid.
    """
    header = [_addresses("From", (sender,))]
    if message.to or message.cc:
        header += [_addresses("To", message.to)] if message.to else []
        header += [_addresses("Cc", message.cc)] if message.cc else []
    else:
        header.append(_NOBODY)
    if message.reply_to:
        header.append(_addresses("Reply-To", message.reply_to))
    header.append(_subject(message.subject))
    if send_at is not None:
        header.append(f"Date: {rfc_date(send_at)}\r\n".encode("ascii"))
    header += own_fields(message.headers)
    header.append(b"MIME-Version: 1.0\r\n")
    content = b"".join((*header, _content(message, token).octets))
    shown = (sender, *message.to, *message.cc, *message.reply_to)
    needed = not all(address.mailbox.local.isascii() for address in (*shown, *message.bcc))
    return Composed(content, needed)


def _content(message: OutgoingMessage, token: str) -> Entity:
    """What the message has to show, with its files around it."""
    with_html = message.html is not None
    inline = [file for file in message.attachments if with_html and file.content_id is not None]
    body = _body(message, [file_entity(file, inline=True) for file in inline], token)
    files = [file_entity(file, inline=False) for file in message.attachments if file not in inline]
    return multipart("mixed", [body, *files], f"=_m_{token}") if files else body


def _body(message: OutgoingMessage, inline: Sequence[Entity], token: str) -> Entity:
    if message.html is None:
        return text_entity("plain", message.text or "")
    html = text_entity("html", message.html)
    if inline:
        html = multipart("related", [html, *inline], f"=_r_{token}", root_type="text/html")
    if message.text is None:
        return html
    return multipart("alternative", [text_entity("plain", message.text), html], f"=_a_{token}")


def _addresses(name: str, addresses: Sequence[Address]) -> bytes:
    for address in addresses:
        if address.name is not None and len(address.name) > NAME_LIMIT:
            raise _bad(name, f"has a name of over {NAME_LIMIT} characters", "Shorten it.")
    try:
        return address_field(name, [(wire_mailbox(one.mailbox), one.name) for one in addresses])
    except ValueError as error:
        raise _bad(name, f"has a name that {error}", "Give names as one line of text.") from None


def _subject(subject: str) -> bytes:
    if len(subject) > SUBJECT_LIMIT:
        raise _bad("Subject", f"is longer than {SUBJECT_LIMIT} characters", "Shorten it.")
    try:
        return text_field("Subject", subject)
    except ValueError as error:
        raise _bad("Subject", str(error), "Give one line of text.") from None


def _bad(name: str, what: str, fix: str) -> Invalid:
    return Invalid("bad-message", f"{name} {what}.", fix)
