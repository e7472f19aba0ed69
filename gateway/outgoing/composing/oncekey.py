"""Under which key a program's message is taken once, and what two requests are compared by."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gateway.control.errors import Invalid
from gateway.outgoing.composing.values import Address, OutgoingMessage, RawMessage, SendOptions
from gateway.outgoing.queue import OnceKey

KEY_LIMIT = 255
"""Characters of a key."""


def once_key(message: OutgoingMessage | RawMessage, options: SendOptions) -> OnceKey:
    """The key of `options` with the digest of all that is asked for. Raises Invalid."""
    key = options.idempotency_key or ""
    if not 0 < len(key) <= KEY_LIMIT or not (key.isascii() and key.isprintable()):
        raise Invalid(
            "bad-idempotency-key",
            "The idempotency key cannot be used.",
            f"Use 1 to {KEY_LIMIT} printable ASCII characters, such as a UUID.",
        )
    return OnceKey(key, _digest(message, options))


def _digest(message: OutgoingMessage | RawMessage, options: SendOptions) -> str:
    digest = hashlib.sha256()
    said: list[Any] = [options.stream, options.tags, dict(options.metadata), options.send_at]
    if isinstance(message, RawMessage):
        recipients = message.recipients
        said += [None if recipients is None else [str(one) for one in recipients]]
        contents = [message.content]
    else:
        groups = (message.to, message.cc, message.bcc, message.reply_to)
        said += [[_said(one) for one in group] for group in groups]
        said += [_said(message.sender) if message.sender is not None else None]
        said += [message.subject, message.text, message.html, message.headers]
        said += [[file.name, file.type, file.content_id] for file in message.attachments]
        contents = [file.content for file in message.attachments]
    digest.update(json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii"))
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _said(address: Address) -> list[str | None]:
    return [str(address.mailbox), address.name]
