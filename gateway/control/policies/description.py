"""An effective policy laid out for people: every value, and the document it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.control.policies.keys import KEYS, SCOPE_LIMITS, SCOPES, STREAM_KEYS, STREAMS

if TYPE_CHECKING:
    from gateway.control.policies.effective import EffectivePolicy, Limit
    from gateway.control.policies.readers import Value


@dataclass(frozen=True, slots=True)
class DescribedValue:
    """One key of an effective policy: its value as documents write it, and `policy NAME`, `plan NAME` or
    `built in`, whichever set it or bound it."""

    key: str
    value: str
    source: str


def describe(policy: EffectivePolicy) -> tuple[DescribedValue, ...]:
    """Every limit and setting, in the order of docs/policies.md; rules are not among them."""
    return (*_limits(policy), *_settings(policy))


def _limits(policy: EffectivePolicy) -> Iterator[DescribedValue]:
    attachments = policy.attachments
    yield _limit("limits.recipients_per_message", policy.recipients_per_message)
    yield _limit("limits.message_bytes", policy.message_bytes)
    yield _limit("limits.attachments.count", attachments.count)
    yield _limit("limits.attachments.bytes", attachments.bytes)
    for source in dict.fromkeys(blocked.source for blocked in attachments.blocked):
        patterns = tuple(one.pattern.text for one in attachments.blocked if one.source == source)
        yield _value("limits.attachments.blocked", patterns, source)
    yield _limit("limits.connections_per_account", policy.connections_per_account)
    for scope in SCOPES:
        for name in SCOPE_LIMITS:
            yield _limit(f"limits.{scope}.{name}", getattr(getattr(policy, scope), name))


def _settings(policy: EffectivePolicy) -> Iterator[DescribedValue]:
    values: dict[str, Value] = {
        "sender.scope": policy.sender.scope,
        "sender.bare_newlines": policy.sender.bare_newlines,
        "sender.long_lines": policy.sender.long_lines,
        "sender.hide_client": policy.sender.hide_client,
        "queue.give_up": policy.queue.give_up_seconds,
        "queue.tenant_weight": policy.queue.tenant_weight,
        "retention.inbox": policy.retention.inbox_seconds,
        "retention.junk": policy.retention.junk_seconds,
        "retention.records": policy.retention.records_seconds,
        "sharding.zone": policy.sharding.zone,
        "sharding.names": policy.sharding.names,
    }
    if policy.residency.location is not None:
        values["residency.location"] = policy.residency.location
    for name, value in values.items():
        yield _value(name, value, policy.sources[name])
    for stream, rules in policy.queue.streams.items():
        for name, seconds in (("weight", rules.weight), ("give_up", rules.give_up_seconds)):
            key = f"{STREAMS}.{stream}.{name}"
            yield DescribedValue(key, STREAM_KEYS[name].reader.show(seconds), policy.sources[key])


def _limit(key: str, limit: Limit) -> DescribedValue:
    return _value(key, limit.value, limit.source)


def _value(key: str, value: Value, source: str) -> DescribedValue:
    return DescribedValue(key, KEYS[key].reader.show(value), source)
