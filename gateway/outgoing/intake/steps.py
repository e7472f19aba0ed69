"""Which steps of intake apply to mail of each origin: the one table that says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gateway.outgoing.intake.values import Origin


@dataclass(frozen=True, slots=True)
class Steps:
    """What happens to a message of one origin.

    `identity`: sender checks and rules of the account's policy. `quota`: charged, and refused when over.
    `suppression`: recipients that are suppressed are not written to. `signer`: whose domain signs, the
    From's or the platform's. `shard`: whose shard carries it. `return_path`: rewritten to the shard's
    token, or the null one.
    """

    identity: bool
    quota: bool
    suppression: bool
    signer: Literal["from", "platform"]
    shard: Literal["tenant", "platform"]
    return_path: Literal["token", "null"]


STEPS: Mapping[Origin, Steps] = MappingProxyType(
    {
        Origin.SUBMISSION: Steps(True, True, True, "from", "tenant", "token"),
        Origin.API: Steps(True, True, True, "from", "tenant", "token"),
        Origin.FORWARD: Steps(False, True, True, "from", "tenant", "token"),
        Origin.DSN: Steps(False, False, False, "platform", "platform", "null"),
        Origin.REPORT: Steps(False, False, False, "platform", "platform", "null"),
        Origin.SYSTEM: Steps(False, False, True, "platform", "platform", "null"),
    }
)
