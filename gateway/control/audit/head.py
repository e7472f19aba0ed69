"""Where a chain ends, and the seal that only a holder of the audit key can put on it. Pure.

Without a seal whoever may write to the database could cut a chain and set its head to an earlier entry's own
hash. A head whose seal is wrong is never sealed again: what is added after a forgery does not hide it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass

from gateway.control.errors import Invalid
from gateway.control.lookup import shown

CONTROL = "control"
"""What the control database is called beside the locations."""

_HASH = re.compile("[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Head:
    """The number and hash of a chain's last entry, 0 and "" of an empty one; `seal` as it is stored."""

    number: int
    hash: str
    seal: str | None = None

    def is_sealed(self, key: bytes) -> bool:
        """Whether `seal` was made for this number and hash under the audit key."""
        return hmac.compare_digest(self.seal or "", head_seal(key, self.number, self.hash))

    def moved(self, key: bytes, number: int, chain_hash: str) -> Head:
        """The head after another entry: sealed if this one was, else for ever without."""
        return Head(number, chain_hash, head_seal(key, number, chain_hash) if self.is_sealed(key) else None)


def head_seal(key: bytes, number: int, chain_hash: str) -> str:
    """HMAC-SHA256 over a head, as no entry's is: 64 hexadecimal digits."""
    text = json.dumps(["head of the audit", number, chain_hash], separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def parse_head(word: str) -> tuple[str, Head]:
    """Database and head of `NUMBER:HASH` (the control database's) or `DATABASE=NUMBER:HASH`, as the log
    has them. Raises Invalid."""
    database, _, rest = word.rpartition("=")
    number, _, chain_hash = rest.partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 19) or not _HASH.fullmatch(chain_hash):
        raise Invalid(
            "bad-head",
            f"{shown(word)} is no head of a chain.",
            "Write NUMBER:HASH, or DATABASE=NUMBER:HASH, from a line `audit_head` of the log.",
        )
    return database or CONTROL, Head(int(number), chain_hash)
