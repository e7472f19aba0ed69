"""What `policy explain` shows: the decision for a message that is not sent, with all it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.control.policies.description import DescribedValue
from gateway.outgoing.policy import Step


@dataclass(frozen=True, slots=True)
class Way:
    """How one recipient's copy would leave."""

    recipient: str
    shard: str | None
    route: str | None
    state: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """The decision with everything it rests on; `reply` is the exact SMTP reply.

    `credential` is the key id of the app password that was named; None: any that is valid.
    """

    account: str
    credential: str | None
    tenant: str
    plan: str
    workspace: str
    environment: str
    location: str
    policy: str
    policy_version: int
    reply: str
    rule: str
    stream: str
    values: tuple[DescribedValue, ...]
    steps: tuple[Step, ...]
    charges: tuple[str, ...]
    ways: tuple[Way, ...]
    selectors: tuple[str, ...]
