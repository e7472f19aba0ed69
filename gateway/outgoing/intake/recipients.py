"""The envelope's recipients on their way into the queue: once each, with shard and destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.queue.values import NewRecipient
from gateway.outgoing.shards import choose_shard

if TYPE_CHECKING:
    from gateway.control.records import ShardRecord
    from gateway.mail.envelope import RcptCommand

HandOver = Callable[[str, int], bool]
"""`reserve(tenant_id, octets)` of the relay: whether it has room to take a delivery from memory."""


class NoShard(Refusal):
    """The tenant has no shard for this mail: nothing leaves, the client tries again later."""

    def __init__(self, environment: str) -> None:
        text = (
            f"this organisation has no sending shard in environment {environment}; "
            "its operator makes one with `gatepost shard create`"
        )
        super().__init__(Reply(451, "4.3.5", text), "shard")


def unique_recipients(commands: Sequence[RcptCommand]) -> list[RcptCommand]:
    """The recipients in order, a repeated one once (as Postfix does), its first parameters holding."""
    seen: dict[str, RcptCommand] = {}
    for command in commands:
        seen.setdefault(command.recipient.key, command)
    return list(seen.values())


class Placement:
    """Chooses each recipient's shard and asks the relay for room, once per delivery."""

    def __init__(
        self,
        shards: Sequence[ShardRecord],
        *,
        environment: str,
        from_domain: str,
        stream: str,
        organisational_domain: Callable[[str], str],
        own_only: bool = False,
    ) -> None:
        """`own_only`: see `choose_shard`."""
        self._shards = shards
        self._environment = environment
        self._from_domain = from_domain
        self._stream = stream
        self._organisational_domain = organisational_domain
        self._own_only = own_only
        self._chosen: dict[str, ShardRecord] = {}

    def place(self, commands: Sequence[RcptCommand]) -> list[NewRecipient]:
        """A queue row for each recipient, not yet handed over.

        Raises NoShard.
        """
        return [self._row(command) for command in commands]

    def _row(self, command: RcptCommand) -> NewRecipient:
        domain = command.recipient.domain_key
        shard = self._chosen.get(domain)
        if shard is None:
            found = choose_shard(
                self._shards,
                from_domain=self._from_domain,
                stream=self._stream,
                recipient_domain=domain,
                organisational_domain=self._organisational_domain,
                own_only=self._own_only,
            )
            if found is None:
                raise NoShard(self._environment)
            shard = self._chosen[domain] = found
        return NewRecipient(
            address=str(command.recipient),
            domain=domain,
            shard_id=shard.id,
            notify=command.notify,
            orcpt=command.orcpt,
            paused=shard.state == "paused",
        )
