"""Which events are worth a notice, and what it says of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from gateway.control.events.types import Event, EventType, spelled_time


class Kind(StrEnum):
    """Every kind of notice; its template is the file of this name."""

    QUOTA = "quota"
    STORAGE = "storage"
    RECORD_LOST = "domain-record-lost"
    VERIFICATION_FAILED = "domain-verification-failed"
    KEY_WAITING = "dkim-key-waiting"
    SHARD_PAUSED = "shard-paused"
    TRIAL_ENDING = "trial-ending"
    WEBHOOK_DISABLED = "webhook-disabled"


class Family(StrEnum):
    """Kinds that share what may be told in a day: many of one family silence none of another."""

    CAPACITY = "capacity"
    SENDING = "sending"
    OTHER = "other"


FAMILIES: Mapping[Kind, Family] = MappingProxyType(
    {
        Kind.QUOTA: Family.CAPACITY,
        Kind.STORAGE: Family.CAPACITY,
        Kind.RECORD_LOST: Family.SENDING,
        Kind.VERIFICATION_FAILED: Family.SENDING,
        Kind.KEY_WAITING: Family.SENDING,
        Kind.SHARD_PAUSED: Family.SENDING,
        Kind.TRIAL_ENDING: Family.OTHER,
        Kind.WEBHOOK_DISABLED: Family.OTHER,
    }
)
"""The family of every kind."""

COMMON = frozenset({"tenant", "plan", "next_plan", "upgrade_url", "upgrade", "hostname", "time"})
_USED = frozenset({"percent", "used", "limit", "whose"})

PLACEHOLDERS: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.QUOTA: COMMON | _USED | {"what", "opens_at"},
        Kind.STORAGE: COMMON | _USED,
        Kind.RECORD_LOST: COMMON | {"domain", "state"},
        Kind.VERIFICATION_FAILED: COMMON | {"domain", "state"},
        Kind.KEY_WAITING: COMMON | {"domain", "record", "value"},
        Kind.SHARD_PAUSED: COMMON | {"shard"},
        Kind.TRIAL_ENDING: COMMON | {"ends_at"},
        Kind.WEBHOOK_DISABLED: COMMON | {"webhook", "host", "reason"},
    }
)
"""What a template of each kind may name."""

_PERCENTS = frozenset({75, 90, 100})
_MESSAGES_A_DAY = "limits.account.messages_per_day"


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice to be: told once a day of its kind and `subject` to a tenant.

    `at`: when it happened, seconds since 1970. `limit` is the plan's key of which the next plan has more.
    `account_id`: whose address takes the place of `whose`.
    """

    kind: Kind
    tenant_id: str
    subject: str
    at: float
    values: Mapping[str, str] = field(default_factory=dict)
    limit: str | None = None
    account_id: str | None = None


def draft_of(event: Event) -> Draft | None:
    """The notice that an event is worth; None for most."""
    make = _MAKERS.get(event.type)
    return make(event) if make is not None and event.tenant_id else None


def trial_ending(tenant_id: str, at: float, ends_at: float) -> Draft:
    """The notice of the job that watches trials; both times in seconds since 1970."""
    values = {"ends_at": spelled_time(ends_at)[:10]}
    return Draft(Kind.TRIAL_ENDING, tenant_id, "trial", at, values, _MESSAGES_A_DAY)


def _quota(event: Event) -> Draft | None:
    data = event.data
    percent, window = data.get("percent"), data.get("window")
    # A minute shapes mail, an hour is over before somebody reads of it: told only where mail is refused.
    if percent not in _PERCENTS or window == "minute" or (window == "hour" and percent != 100):
        return None
    what = f"{str(data.get('metric')).replace('_', '-').replace('first-time-', 'first-time ')} per {window}"
    values = {"what": what, "opens_at": _minute(data.get("opens_at"))} | _used(event, str)
    limit = f"limits.{data.get('scope')}.{data.get('metric')}_per_{window}"
    return Draft(
        Kind.QUOTA,
        str(event.tenant_id),
        f"{event.subject} {what} {percent}",
        event.time,
        values,
        limit,
        event.account_id,
    )


def _storage(event: Event) -> Draft | None:
    percent = event.data.get("percent")
    if percent not in _PERCENTS:
        return None
    scope = event.data.get("scope", "account")
    return Draft(
        Kind.STORAGE,
        str(event.tenant_id),
        f"{event.subject} {percent}",
        event.time,
        _used(event, _octets),
        f"limits.{scope}.storage_bytes",
        event.account_id,
    )


def _domain(kind: Kind) -> Callable[[Event], Draft]:
    def make(event: Event) -> Draft:
        values = {"domain": _said(event, "unicode_name", "name"), "state": _said(event, "state")}
        return Draft(kind, str(event.tenant_id), event.subject, event.time, values)

    return make


def _key(event: Event) -> Draft | None:
    """A new key is of interest to a customer who must publish it."""
    if _said(event, "publish_by") != "customer":
        return None
    values = {
        "domain": _said(event, "domain"),
        "record": _said(event, "name"),
        "value": _said(event, "record_value"),
    }
    return Draft(Kind.KEY_WAITING, str(event.tenant_id), event.subject, event.time, values)


def _shard(event: Event) -> Draft:
    values = {"shard": _said(event, "name")}
    return Draft(Kind.SHARD_PAUSED, str(event.tenant_id), event.subject, event.time, values)


def _webhook(event: Event) -> Draft:
    values = {
        "webhook": _said(event, "id"),
        # The host alone: what stands behind it may be a token.
        "host": urlsplit(_said(event, "url")).hostname or "its receiver",
        "reason": _said(event, "state_reason"),
    }
    return Draft(Kind.WEBHOOK_DISABLED, str(event.tenant_id), event.subject, event.time, values)


_MAKERS: Mapping[str, Callable[[Event], Draft | None]] = MappingProxyType(
    {
        EventType.QUOTA_REACHED: _quota,
        EventType.STORAGE_REACHED: _storage,
        EventType.DOMAIN_RECORD_LOST: _domain(Kind.RECORD_LOST),
        EventType.DOMAIN_DEGRADED: _domain(Kind.RECORD_LOST),
        EventType.DOMAIN_EXPIRED: _domain(Kind.VERIFICATION_FAILED),
        EventType.DOMAIN_SUSPENDED: _domain(Kind.VERIFICATION_FAILED),
        EventType.KEY_WAITING: _key,
        EventType.SHARD_PAUSED: _shard,
        EventType.WEBHOOK_DISABLED: _webhook,
    }
)


def _used(event: Event, spell: Callable[[Any], str]) -> dict[str, str]:
    scope = event.data.get("scope", "account")
    return {
        "percent": str(event.data.get("percent")),
        "used": spell(event.data.get("value")),
        "limit": spell(event.data.get("limit")),
        "whose": {"tenant": "The whole organisation", "workspace": "A workspace"}.get(scope, "An account"),
    }


def _said(event: Event, *names: str) -> str:
    """A word of the resource as it is after the change."""
    after = event.data.get("after") or {}
    return next((str(after[name]) for name in names if after.get(name)), "-")


def _minute(at: Any) -> str:
    return f"{spelled_time(at)[:16].replace('T', ' ')} UTC" if isinstance(at, int | float) else "later"


def _octets(amount: Any) -> str:
    if not isinstance(amount, int | float):
        return str(amount)
    size = float(amount)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
