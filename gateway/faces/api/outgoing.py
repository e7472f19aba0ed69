"""A message in a request: as JSON, or as it will go, `message/rfc822`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body
from pydantic import Discriminator, Field, StringConstraints, Tag

from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.faces.api.facts import MIB, Bounds
from gateway.faces.api.models import Metadata, Name, Request, Text, seconds
from gateway.outgoing.composing import (
    Address,
    Attachment,
    OutgoingMessage,
    RawMessage,
    SendOptions,
    read_address,
)

RAW_TYPE = "message/rfc822"
SEND_BOUNDS = Bounds(64 * MIB, 50_000)
"""A message of the largest size in base64, with room for the rest."""

_MOST_ADDRESSES = 10_000
_MOST_ATTACHMENTS = 100
_MOST_HEADERS = 100
_MOST_TAGS = 100


class NamedAddress(Request):
    """An address with the name that is shown for it."""

    address: Text
    name: Text | None = None


Addresses = Annotated[tuple[Text | NamedAddress, ...], Field(max_length=_MOST_ADDRESSES)]


class AttachedFile(Request):
    """A file; `content` in base64. With a `content_id` the HTML shows it as `cid:ID`."""

    name: Name
    type: Name = "application/octet-stream"
    content: str
    content_id: Name | None = None


class MessageSend(Request):
    """A message as values. Without `from` it comes from the account's own address.

    `headers`: extra fields. `send_at`: not before then. `stream`, `tags`, `metadata` stay with it.
    """

    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    sender: Annotated[Text | NamedAddress | None, Field(alias="from")] = None
    reply_to: Addresses = ()
    subject: Annotated[str, StringConstraints(max_length=10_000)] = ""
    text: str | None = None
    html: str | None = None
    attachments: Annotated[tuple[AttachedFile, ...], Field(max_length=_MOST_ATTACHMENTS)] = ()
    headers: dict[Name, Text] = Field(default_factory=dict, max_length=_MOST_HEADERS)
    stream: Name | None = None
    tags: Annotated[tuple[Name, ...], Field(max_length=_MOST_TAGS)] = ()
    metadata: Metadata = Field(default_factory=dict)
    send_at: datetime | None = None

    def message(self) -> OutgoingMessage:
        """The message. Raises Invalid."""
        return OutgoingMessage(
            to=_addresses(self.to),
            cc=_addresses(self.cc),
            bcc=_addresses(self.bcc),
            subject=self.subject,
            text=self.text,
            html=self.html,
            attachments=tuple(map(_attachment, self.attachments)),
            headers=tuple(self.headers.items()),
            reply_to=_addresses(self.reply_to),
            sender=_address(self.sender) if self.sender is not None else None,
        )

    def options(self, key: str | None) -> SendOptions:
        """How it is sent, under the caller's idempotency key."""
        return SendOptions(self.stream, self.tags, self.metadata, seconds(self.send_at), key)


class _JsonOnly:
    """Describes the JSON form alone under `application/json`; the raw one is described beside it."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        return handler(core["choices"]["body"])


def _form(given: Any) -> str:
    return "raw" if isinstance(given, bytes) else "body"


SendBody = Annotated[
    Annotated[MessageSend, Tag("body")] | Annotated[bytes, Tag("raw")],
    Discriminator(_form),
    _JsonOnly(),
    Body(),
]
"""What the request brings: octets wherever its Content-Type is not JSON."""


def raw_message(content: bytes, recipients: Iterable[str]) -> RawMessage:
    """The octets as a message; without recipients it goes to those in its header. Raises Invalid."""
    named = tuple(read_address(one).mailbox for one in recipients)
    return RawMessage(content, named or None)


def _addresses(given: Iterable[str | NamedAddress]) -> tuple[Address, ...]:
    return tuple(map(_address, given))


def _address(given: str | NamedAddress) -> Address:
    if isinstance(given, str):
        return read_address(given)
    return read_address(given.address, given.name or "")


def _attachment(file: AttachedFile) -> Attachment:
    try:
        content = base64.b64decode(file.content, validate=True)
    except (ValueError, binascii.Error):
        raise Invalid(
            "bad-attachment",
            f"The content of {shown(file.name)} is not base64.",
            "Encode the file in base64 (RFC 4648 §4), without line breaks.",
        ) from None
    return Attachment(file.name, file.type, content, file.content_id)
