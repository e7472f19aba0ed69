"""Signatures of what is sent, as Standard Webhooks has them. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable


def signed_fields(secrets: Iterable[bytes], delivery_id: str, at: float, body: bytes) -> dict[str, str]:
    """The header fields that let a receiver prove id, time (seconds since 1970) and body.

    One signature for each of `secrets`, parted by spaces: while a secret is rotated both are good.
    `delivery_id` has no full stop in it and stays the same when the delivery is repeated.
    """
    timestamp = str(int(at))
    signed = b".".join((delivery_id.encode("ascii"), timestamp.encode("ascii"), body))
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode('ascii')}" for digest in digests),
    }
