"""What intake asks of those around it: the control plane, the relay, the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.control.records import DomainRecord, KeyRecord, ShardRecord
    from gateway.outgoing.queue import Delivery


class DirectoryView(Protocol):
    """What intake asks of the control plane."""

    def claims(self, name: str) -> Sequence[DomainRecord]:
        """All claims to a domain name, of any tenant."""
        ...

    def shards_of(self, tenant_id: str, environment: str) -> tuple[ShardRecord, ...]:
        """A tenant's shards in one environment."""
        ...

    def keys_of(self, domain_name: str) -> tuple[KeyRecord, ...]:
        """A domain's DKIM keys, in every state."""
        ...


class Forwarder(Protocol):
    """What intake asks of the relay: room for a message in memory, and to take its deliveries over."""

    def reserve(self, tenant_id: str, octets: int) -> bool:
        """Whether a message of `octets` may be handed over from memory."""
        ...

    def release(self, tenant_id: str, octets: int) -> None:
        """Give back what was reserved and is not needed."""
        ...

    def hand_over(self, deliveries: Sequence[Delivery], location: str) -> None:
        """Take one message's deliveries, whose rows this worker owns and for which there is room."""
        ...


class Counts(Protocol):
    """What intake tells the metrics."""

    def accepted(self, origin: str) -> None:
        """A message was stored."""
        ...

    def refused(self, rule: str) -> None:
        """A submission was refused by a rule."""
        ...


class NoRelay:
    """The relay of a process that has none: every message is left in the queue for those that have."""

    def reserve(self, tenant_id: str, octets: int) -> bool:  # noqa: ARG002 - a Forwarder's signature
        """There is never room."""
        return False

    def release(self, tenant_id: str, octets: int) -> None:
        """Nothing is ever reserved."""

    def hand_over(self, deliveries: Sequence[Delivery], location: str) -> None:
        """Nothing is ever handed over."""


class NoCounts:
    """The metrics of a process that shows none."""

    def accepted(self, origin: str) -> None:
        """A message was stored."""

    def refused(self, rule: str) -> None:
        """A submission was refused by a rule."""
