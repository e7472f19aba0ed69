"""Every key a policy or plan may have, and what may stand there; docs/policies.md explains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.control.policies.readers import (
    BlockedAttachments,
    Count,
    Duration,
    Flag,
    Name,
    OneOf,
    Reader,
    ShardNames,
    Size,
    Value,
)

SCOPES = ("account", "tenant", "workspace")
SCOPE_LIMITS = (
    "messages_per_minute",
    "messages_per_hour",
    "messages_per_day",
    "messages_per_month",
    "recipients_per_day",
    "first_time_recipients_per_day",
    "storage_bytes",
)
STREAMS = "queue.streams"

_DAY = 86_400
# The life clock's ceiling while a shard is paused is 7 days too: nothing waits longer than that.
_GIVE_UP = Duration(least=60, most=7 * _DAY)
_KEPT = Duration(least=_DAY, unlimited=True)
_WEIGHT = Count(least=1, most=1000, unlimited=False)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: how it is read, what holds where no document sets it, and whether a plan bounds it."""

    reader: Reader
    default: Value
    is_limit: bool = False


def _limits() -> dict[str, Key]:
    keys = {
        "limits.recipients_per_message": Key(Count(least=1), None, is_limit=True),
        "limits.message_bytes": Key(Size(), None, is_limit=True),
        "limits.attachments.count": Key(Count(), None, is_limit=True),
        "limits.attachments.bytes": Key(Size(), None, is_limit=True),
        "limits.connections_per_account": Key(Count(least=1), None, is_limit=True),
    }
    for scope in SCOPES:
        for limit in SCOPE_LIMITS:
            reader: Reader = Size() if limit == "storage_bytes" else Count()
            keys[f"limits.{scope}.{limit}"] = Key(reader, None, is_limit=True)
    return keys


KEYS: Mapping[str, Key] = {
    **_limits(),
    "limits.attachments.blocked": Key(BlockedAttachments(), ()),
    "sender.scope": Key(OneOf(("address", "domain")), "address"),
    "sender.bare_newlines": Key(OneOf(("normalise", "reject")), "normalise"),
    "sender.long_lines": Key(OneOf(("reject", "pass")), "reject"),
    "sender.hide_client": Key(Flag(), False),
    "queue.give_up": Key(_GIVE_UP, 3 * _DAY),
    "queue.tenant_weight": Key(_WEIGHT, 1),
    "retention.inbox": Key(_KEPT, None),
    "retention.junk": Key(_KEPT, None),
    "retention.records": Key(_KEPT, None),
    "residency.location": Key(Name(), None),
    "sharding.zone": Key(OneOf(("tenant", "trial")), "tenant"),
    "sharding.names": Key(ShardNames(), ()),
}
"""Every key by its dotted name, but for those of the streams, whose middle is free."""

STREAM_KEYS: Mapping[str, Key] = {
    "weight": Key(_WEIGHT, 1),
    "give_up": Key(_GIVE_UP, None),
}
"""The keys below `queue.streams.NAME`. A stream without `give_up` has `queue.give_up`."""

# What holds for streams where no document speaks of them: a password reset is of no use tomorrow.
BUILT_IN_STREAMS: Mapping[str, Value] = {
    "queue.streams.transactional.weight": 10,
    "queue.streams.transactional.give_up": 8 * 3_600,
}


def key_of(name: str) -> Key | None:
    """The key with a dotted name, streams' included."""
    if name.startswith(STREAMS + "."):
        return STREAM_KEYS.get(name.rpartition(".")[2])
    return KEYS.get(name)
