"""What mail of the gateway's own leaves with: the platform's shard, and its domain's keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gateway.mail.headers import HeaderBlock
from gateway.outgoing.queue import NewRecipient
from gateway.outgoing.shards import choose_shard
from gateway.outgoing.signing import Signatures, Signer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.control.records import KeyRecord, ShardRecord, TenantRecord
    from gateway.mail.address import Mailbox


class CannotReport(Exception):
    """The platform lacks what its own mail needs: a shard or a key."""


class PlatformView(Protocol):
    """What the gateway's own mail asks of the control plane."""

    @property
    def platform(self) -> TenantRecord:
        """The tenant that owns the installation's own domain."""
        ...

    def shards_of(self, tenant_id: str, environment: str) -> tuple[ShardRecord, ...]:
        """A tenant's shards in one environment."""
        ...

    def keys_of(self, domain_name: str) -> tuple[KeyRecord, ...]:
        """A domain's DKIM keys, in every state."""
        ...


@dataclass(frozen=True, slots=True)
class PlatformMail:
    """Places and signs the gateway's own mail, which is never refused by a quota."""

    directory: PlatformView
    signer: Signer
    organisational_domain: Callable[[str], str]
    hostname: str

    def place(self, recipient: Mailbox, stream: str) -> NewRecipient:
        """The recipient on the platform's shard. Raises CannotReport."""
        shard = choose_shard(
            self.directory.shards_of(self.directory.platform.id, "production"),
            from_domain=self.hostname,
            stream=stream,
            recipient_domain=recipient.domain_key,
            organisational_domain=self.organisational_domain,
        )
        if shard is None:
            raise CannotReport("the platform has no shard; see `gatepost shard list`")
        return NewRecipient(
            str(recipient),
            recipient.domain_key,
            shard.id,
            frozenset({"NEVER"}),
            paused=shard.state == "paused",
        )

    def signing(self, header: HeaderBlock, body: bytes, now: float) -> Callable[[], Signatures]:
        """What signs a message with the platform's keys. Raises CannotReport."""
        keys: Sequence[KeyRecord] = [
            key for key in self.directory.keys_of(self.hostname) if key.state == "active"
        ]
        if not keys:
            raise CannotReport(f"{self.hostname} has no active DKIM key; see `gatepost dkim-key list`")
        return partial(self.signer.sign, header, body, keys, now)
