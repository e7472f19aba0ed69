"""What binds one tenant's accounts in one workspace, worked out: plain values, no documents behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.control.policies.patterns import Glob
from gateway.control.policies.rules import Rule

SenderScope = Literal["address", "domain"]
BareNewlines = Literal["normalise", "reject"]
LongLines = Literal["reject", "pass"]
ShardingZone = Literal["tenant", "trial"]

BUILT_IN = "built in"
"""The source of a value that no document sets."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A ceiling: None is unlimited; `source` is the document that set it (`policy free`, `plan trial`)."""

    value: int | None
    source: str = BUILT_IN

    def allows(self, amount: int) -> bool:
        """Whether `amount` is not over it."""
        return self.value is None or amount <= self.value


UNLIMITED = Limit(None)


@dataclass(frozen=True, slots=True)
class ScopeLimits:
    """What an account, a tenant within the workspace, or the workspace may use, in UTC calendar windows."""

    messages_per_minute: Limit = UNLIMITED
    messages_per_hour: Limit = UNLIMITED
    messages_per_day: Limit = UNLIMITED
    messages_per_month: Limit = UNLIMITED
    recipients_per_day: Limit = UNLIMITED
    first_time_recipients_per_day: Limit = UNLIMITED
    storage_bytes: Limit = UNLIMITED


@dataclass(frozen=True, slots=True)
class Blocked:
    """An attachment nobody may send: a media type or a file name, and the document that says so."""

    pattern: Glob
    source: str

    @property
    def is_type(self) -> bool:
        """A media type (`application/x-dosexec`, `video/*`); else a glob of names (`*.exe`)."""
        return "/" in self.pattern.text


@dataclass(frozen=True, slots=True)
class AttachmentLimits:
    """Per message: how many, how many octets in all (decoded), and which never."""

    count: Limit = UNLIMITED
    bytes: Limit = UNLIMITED
    blocked: tuple[Blocked, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderRules:
    """Whose name may stand on a message, and how strict we are about its form."""

    scope: SenderScope = "address"
    bare_newlines: BareNewlines = "normalise"
    long_lines: LongLines = "reject"
    hide_client: bool = False


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How one stream of a tenant's mail waits: its share (at least 1) and when it is given up."""

    weight: int
    give_up_seconds: int


@dataclass(frozen=True, slots=True)
class QueueRules:
    """How a tenant's mail waits. `tenant_weight` (at least 1) is its share among tenants."""

    give_up_seconds: int
    streams: Mapping[str, StreamRules] = field(default_factory=dict)
    tenant_weight: int = 1

    def stream(self, name: str) -> StreamRules:
        """The rules of a stream; one that no document names has weight 1 and the common give-up time."""
        return self.streams.get(name) or StreamRules(1, self.give_up_seconds)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in seconds; None is for ever."""

    inbox_seconds: int | None = None
    junk_seconds: int | None = None
    records_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Residency:
    """Where the workspace's data belongs: a location's name, or None for the workspace's own choice."""

    location: str | None = None


@dataclass(frozen=True, slots=True)
class Sharding:
    """Which shards a new tenant gets: `names` below its own domain (`tenant`) or the trial zone (`trial`)."""

    zone: ShardingZone = "tenant"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """One document of those that an effective policy was made of: `policy free`, `plan standard`."""

    source: str
    version: int


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """The policy `name` (at `version`) with its plan, resolved.

    Rules are in the order to ask them in. `documents` are all that took part, the policy's own first, for
    the record of which policy applied then. `sources` names the document behind each value that is no
    limit, by its dotted key. `limits_attachments`: a message's attachments must be looked at.
    """

    name: str
    version: int
    recipients_per_message: Limit = UNLIMITED
    message_bytes: Limit = UNLIMITED
    attachments: AttachmentLimits = AttachmentLimits()
    connections_per_account: Limit = UNLIMITED
    account: ScopeLimits = ScopeLimits()
    tenant: ScopeLimits = ScopeLimits()
    workspace: ScopeLimits = ScopeLimits()
    sender: SenderRules = SenderRules()
    queue: QueueRules = QueueRules(3 * 86_400)
    retention: Retention = Retention()
    residency: Residency = Residency()
    sharding: Sharding = Sharding()
    outbound_rules: tuple[Rule, ...] = ()
    inbound_rules: tuple[Rule, ...] = ()
    documents: tuple[DocumentVersion, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    limits_attachments: bool = False

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of both directions."""
        return self.outbound_rules + self.inbound_rules
