"""A webhook's secret: its form (Standard Webhooks), and where it is sealed to."""

from __future__ import annotations

import base64
from collections.abc import Callable

PURPOSE = "webhook"
_PREFIX = "whsec_"
_OCTETS = 32


def make_secret(random_bytes: Callable[[int], bytes]) -> tuple[bytes, str]:
    """A fresh secret: the octets that sign, and the text that a receiver is given."""
    octets = random_bytes(_OCTETS)
    return octets, _PREFIX + base64.b64encode(octets).decode("ascii")


def secret_place(tenant_id: str | None, secret_id: str) -> dict[str, str]:
    """Where a secret is sealed to."""
    return {"tenant": tenant_id or "", "table": "webhook_secrets", "row": secret_id, "column": "sealed"}
