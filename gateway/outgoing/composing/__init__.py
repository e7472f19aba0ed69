"""Mail sent by programs: composed from values or taken as it is, and through the same door as SMTP's."""

from gateway.outgoing.composing.sender import MessageSender, Send, SendCeilings
from gateway.outgoing.composing.values import (
    Address,
    Attachment,
    OutgoingMessage,
    RawMessage,
    SendOptions,
    SentMessage,
    read_address,
)

__all__ = [
    "Address",
    "Attachment",
    "MessageSender",
    "OutgoingMessage",
    "RawMessage",
    "Send",
    "SendCeilings",
    "SendOptions",
    "SentMessage",
    "read_address",
]
