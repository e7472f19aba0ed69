"""What is kept of a submission that was not taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.control.records import Identity
    from gateway.mail.reply import Refusal

SHOWN_OCTETS = 998
"""Of a header field that records show."""


@dataclass(frozen=True, slots=True)
class RefusedSubmission:
    """A submission that was not taken: its record, without its body."""

    tenant_id: str
    account_id: str
    at: float
    client_address: str
    reverse_path: str
    from_address: str | None
    recipients: tuple[str, ...]
    reply: str
    rule: str
    workspace_id: str
    environment: str


def refused_submission(
    identity: Identity,
    refusal: Refusal,
    reverse_path: str,
    from_address: str | None,
    recipients: tuple[str, ...],
    client_address: str,
    at: float,
) -> RefusedSubmission:
    """The record of a refusal that `identity` met at `at` (seconds since 1970)."""
    return RefusedSubmission(
        tenant_id=identity.tenant.id,
        account_id=identity.account.id,
        at=at,
        client_address=client_address,
        reverse_path=reverse_path,
        from_address=from_address,
        recipients=recipients,
        reply=str(refusal.reply),
        rule=refusal.rule,
        workspace_id=identity.workspace.id,
        environment=identity.workspace.environment,
    )


def from_of(content: bytes) -> str | None:
    """The From line of a refused message, for its record; whatever it is, it is only shown."""
    head = content[:16_384]
    for line in head.split(b"\n"):
        if line[:5].lower() == b"from:":
            return line[5:].strip()[:SHOWN_OCTETS].decode("utf-8", "replace")
        if line in (b"\r", b""):
            break
    return None
