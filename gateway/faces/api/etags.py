"""Entity tags (RFC 9110 §8.8.3): a hash of what is shown."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gateway.system.rendering import plain


def etag(view: Any) -> str:
    """The strong tag of a view."""
    text = json.dumps(plain(view), sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def matches(header: str, tag: str) -> bool:
    """Whether `If-Match` or `If-None-Match` names a tag. A weak one never matches here."""
    return header.strip() == "*" or tag in [one.strip() for one in header.split(",")]
