"""Pages about a domain for people without a login: who has the link sees the records, until it expires.

A link says which domain and until when, under a key that outlives the master key: nothing is stored for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from gateway.control.domains.find import find_domain
from gateway.control.domains.model import DomainRow
from gateway.control.domains.view import DomainCheck, domain_view
from gateway.control.errors import Invalid
from gateway.control.recording import payload
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites

DEFAULT_SECONDS = 14 * 86_400.0
LONGEST_SECONDS = 90 * 86_400.0
SHORTEST_SECONDS = 60.0

_SYSTEM = Actor(kind="system", id="domain-page")
_HEAD = struct.Struct("!16sQ")
_TAG_OCTETS = 16
_LONGEST_TOKEN = 64

Checked = Callable[[Actor, str], DomainCheck]
"""What is known of a domain, by its id: `DomainService.checked`."""


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link that was made; `expires_at` in seconds since 1970."""

    domain: str
    token: str
    expires_at: float


class DomainPages:
    """Makes links and follows them."""

    def __init__(self, writes: ControlWrites, key: bytes, checked: Checked) -> None:
        """`key`: 32 octets that only pages are signed with."""
        self._writes = writes
        self._key = key
        self._checked = checked

    def open(self, actor: Actor, reference: str, *, seconds: float | None = None) -> PageLink:
        """Make a link that holds for `seconds`; the audit tells who let others look.

        Raises NotFound, Invalid.
        """
        seconds = DEFAULT_SECONDS if seconds is None else seconds
        if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
            raise Invalid(
                "bad-lifetime",
                f"A page cannot be open for {seconds:g} s.",
                "Choose from a minute to 90 days, such as --ttl 14d.",
            )
        with self._writes.change(actor) as change:
            row = find_domain(change.session, actor, reference)
            until = int(change.now + seconds)
            link = PageLink(row.name, self._token(row, until), float(until))
            view = payload(domain_view(row))
            change.audit(
                "domain.page",
                "domain",
                row.id,
                tenant_id=row.tenant_id,
                before=view,
                after={**view, "page_expires_at": link.expires_at},
            )
            change.result = payload(link)
        return link

    def follow(self, token: str) -> DomainCheck | None:
        """What a link shows; None for one that is wrong or over, or whose domain is gone."""
        parts = _parse(token)
        if parts is None:
            return None
        domain_id, until, tag = parts
        with self._writes.view() as session:
            row = session.get(DomainRow, domain_id)
        # The same work for a domain that is not there: nothing is told by how long it takes.
        challenge = row.challenge if row is not None else ""
        if not hmac.compare_digest(tag, self._tag(domain_id, until, challenge)):
            return None
        if row is None or row.purge_at is not None or until <= self._writes.clock.now():
            return None
        return self._checked(_SYSTEM, domain_id)

    def _token(self, row: DomainRow, until: int) -> str:
        head = _HEAD.pack(uuid.UUID(row.id).bytes, until)
        octets = head + self._tag(row.id, until, row.challenge)
        return base64.urlsafe_b64encode(octets).decode().rstrip("=")

    def _tag(self, domain_id: str, until: int, challenge: str) -> bytes:
        said = f"{domain_id} {until} {challenge}".encode()
        return hmac.new(self._key, said, hashlib.sha256).digest()[:_TAG_OCTETS]


def _parse(token: str) -> tuple[str, int, bytes] | None:
    """The domain's id, the time of expiry and the tag that a link has; None if it is none."""
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        return None
    try:
        octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        octets_id, until = _HEAD.unpack(octets[: _HEAD.size])
    except (ValueError, struct.error):
        return None
    if len(octets) != _HEAD.size + _TAG_OCTETS:
        return None
    return str(uuid.UUID(bytes=octets_id)), until, octets[_HEAD.size :]
