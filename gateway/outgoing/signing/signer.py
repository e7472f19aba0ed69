"""DKIM signatures of the From domain (RFC 6376, RFC 8463), made from bytes.

dkimpy verifies inbound mail; signing is done here because its RSA is pure Python and its
canonicalisation goes line by line (docs/performance.md has the figures).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.signing.canonical import relaxed_body_hash, relaxed_field
from gateway.outgoing.signing.keys import RSA_SHA256, KeyCache, UnusableKey

if TYPE_CHECKING:
    from gateway.control.records import KeyRecord
    from gateway.mail.headers import HeaderBlock

LIFETIME_SECONDS = 7 * 86_400
"""`x=` of every signature: replays of an old signed message stop verifying (SECURITY T5)."""

MARGIN_SECONDS = 86_400
"""A signature this close to its end is made again before an attempt: the receiver may verify late."""

OVERSIGNED = tuple(
    b"from sender reply-to to cc subject date message-id in-reply-to references mime-version "
    b"content-type content-transfer-encoding content-disposition content-id content-description "
    b"list-id list-unsubscribe list-unsubscribe-post list-help list-post list-owner list-subscribe "
    b"list-archive".split()
)
"""Named once more than they occur in `h=`, so that none can be added afterwards."""

_USABLE_STATES = frozenset({"active", "retiring"})
_LINE_OCTETS = 74
_FOLD = b"\r\n\t"


@dataclass(frozen=True, slots=True)
class Signatures:
    """The DKIM-Signature fields of one message, kept beside it until it has left.

    `header` is ready to be put before the message; `body_hash` is the SHA-256 of the relaxed
    body, from which they can be made again; `signed_at` is in seconds since 1970 (UTC).
    """

    header: bytes
    key_ids: tuple[str, ...]
    body_hash: bytes
    signed_at: float


class NoSignature(Refusal):
    """No signature can be made: nothing leaves unsigned, the client tries again later."""

    def __init__(self, domain: str, why: str) -> None:
        text = f"cannot sign for {domain} just now ({why}); try again later or ask the operator"
        super().__init__(Reply(451, "4.7.0", text), "signing")


class Signer:
    """Signs messages with the keys of a domain."""

    def __init__(self, keys: KeyCache) -> None:
        self._keys = keys

    def sign(self, header: HeaderBlock, body: bytes, keys: Sequence[KeyRecord], now: float) -> Signatures:
        """Sign a message in normal form (CRLF line ends) with each of `keys`, RSA first.

        Raises NoSignature if `keys` is empty or one cannot be used.
        """
        return self.resign(header, relaxed_body_hash(body), keys, now)

    def resign(
        self, header: HeaderBlock, body_hash: bytes, keys: Sequence[KeyRecord], now: float
    ) -> Signatures:
        """As `sign`, from the stored hash of the body.

        Raises NoSignature.
        """
        if not keys:
            raise NoSignature("the From domain", "it has no active key")
        names, canonical = _select(header)
        ordered = sorted(keys, key=lambda record: record.algorithm != RSA_SHA256)
        fields = [self._field(key, names, canonical, body_hash, int(now)) for key in ordered]
        return Signatures(b"".join(fields), tuple(key.id for key in keys), body_hash, now)

    def _field(
        self, key: KeyRecord, names: list[bytes], canonical: bytes, body_hash: bytes, now: int
    ) -> bytes:
        lines = [
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;".encode("ascii"),
            f"d={key.domain}; s={key.selector}; t={now}; x={now + LIFETIME_SECONDS};".encode("ascii"),
            *_name_lines(names),
            b"bh=" + base64.b64encode(body_hash) + b";",
            b"b=",
        ]
        own = b"dkim-signature:" + b" ".join(lines).partition(b": ")[2]
        try:
            signature = base64.b64encode(self._keys.signer(key)(canonical + own))
        except UnusableKey as error:
            raise NoSignature(key.domain, str(error)) from error
        folded = _FOLD.join(signature[start : start + 72] for start in range(0, len(signature), 72))
        return _FOLD.join(lines) + folded + b"\r\n"


def still_stands(signatures: Signatures, keys: Iterable[KeyRecord | None], now: float) -> bool:
    """Whether stored signatures may go out: each key active or retiring, age well under `x=`.

    `keys` are today's records of `signatures.key_ids`, None for one that is gone.
    """
    if not signatures.header or now - signatures.signed_at > LIFETIME_SECONDS - MARGIN_SECONDS:
        return False
    return all(key is not None and key.state in _USABLE_STATES for key in keys)


def _select(header: HeaderBlock) -> tuple[list[bytes], bytes]:
    """The names for `h=` and the canonical octets of the fields they select, in that order.

    Repeated fields are taken from the bottom up (RFC 6376 §5.4.2).
    """
    wanted: dict[bytes, list[bytes]] = {name: [] for name in OVERSIGNED}
    for field in reversed(header.fields):
        chosen = wanted.get(field.key)
        if chosen is not None:
            chosen.append(relaxed_field(field.raw))
    names: list[bytes] = []
    canonical: list[bytes] = []
    for name, chosen in wanted.items():
        names.extend([name] * (len(chosen) + 1))
        canonical.extend(chosen)
    return names, b"".join(canonical)


def _name_lines(names: list[bytes]) -> list[bytes]:
    """The `h=` tag, folded so that its lines stay under 78 octets."""
    lines = [b"h=" + names[0]]
    for name in names[1:]:
        if len(lines[-1]) + len(name) > _LINE_OCTETS:
            lines[-1] += b":"
            lines.append(name)
        else:
            lines[-1] += b":" + name
    lines[-1] += b";"
    return lines
