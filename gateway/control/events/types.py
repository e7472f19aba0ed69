"""An event as it is told to the world, and the names of all kinds there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.system.moments import calendar_time
from gateway.system.rendering import plain

PREFIX = "gatepost."

HISTORY_SECONDS = 14 * 86_400.0
"""How far back events are served."""


class EventType(StrEnum):
    """Every type of event, as CloudEvents' `type` has it."""

    TENANT_CREATED = "gatepost.tenant.created"
    TENANT_UPDATED = "gatepost.tenant.updated"
    TENANT_SUSPENDED = "gatepost.tenant.suspended"
    TENANT_RESUMED = "gatepost.tenant.resumed"
    TENANT_DELETING = "gatepost.tenant.deleting"
    TENANT_DELETED = "gatepost.tenant.deleted"
    ACCOUNT_CREATED = "gatepost.account.created"
    ACCOUNT_UPDATED = "gatepost.account.updated"
    ACCOUNT_MOVED = "gatepost.account.moved"
    """Its workspace is another one."""
    ACCOUNT_SUSPENDED = "gatepost.account.suspended"
    ACCOUNT_RESUMED = "gatepost.account.resumed"
    ACCOUNT_DELETING = "gatepost.account.deleting"
    """It is stopped, and goes after its time of grace."""
    ACCOUNT_DELETED = "gatepost.account.deleted"
    ACCOUNT_PASSWORD_CREATED = "gatepost.account.password_created"
    ACCOUNT_PASSWORD_REPLACED = "gatepost.account.password_replaced"
    ACCOUNT_PASSWORD_REVOKED = "gatepost.account.password_revoked"
    DOMAIN_CREATED = "gatepost.domain.created"
    DOMAIN_UPDATED = "gatepost.domain.updated"
    DOMAIN_PENDING = "gatepost.domain.pending"
    DOMAIN_VERIFYING = "gatepost.domain.verifying"
    DOMAIN_ACTIVE = "gatepost.domain.active"
    DOMAIN_DEGRADED = "gatepost.domain.degraded"
    DOMAIN_SUSPENDED = "gatepost.domain.suspended"
    DOMAIN_EXPIRED = "gatepost.domain.expired"
    DOMAIN_RECORD_LOST = "gatepost.domain.record_lost"
    """A record that it needs was there, and is not any more; `record` in its data says which."""
    DOMAIN_RECORD_RECOVERED = "gatepost.domain.record_recovered"
    DOMAIN_DELETED = "gatepost.domain.deleted"
    KEY_WAITING = "gatepost.key.waiting"
    """A DKIM key was made and signs once its record is seen; `publish_by` says who publishes that."""
    KEY_ACTIVE = "gatepost.key.active"
    KEY_REVOKED = "gatepost.key.revoked"
    KEY_DESTROYED = "gatepost.key.destroyed"
    SHARD_CREATED = "gatepost.shard.created"
    SHARD_UPDATED = "gatepost.shard.updated"
    SHARD_PAUSED = "gatepost.shard.paused"
    SHARD_RESUMED = "gatepost.shard.resumed"
    SHARD_RETIRED = "gatepost.shard.retired"
    WEBHOOK_CREATED = "gatepost.webhook.created"
    WEBHOOK_UPDATED = "gatepost.webhook.updated"
    WEBHOOK_PAUSED = "gatepost.webhook.paused"
    WEBHOOK_RESUMED = "gatepost.webhook.resumed"
    WEBHOOK_DISABLED = "gatepost.webhook.disabled"
    WEBHOOK_DELETED = "gatepost.webhook.deleted"
    WEBHOOK_PING = "gatepost.webhook.ping"
    """Sent to one webhook alone, when somebody asks for it."""
    MESSAGE_ACCEPTED = "gatepost.message.accepted"
    MESSAGE_REJECTED = "gatepost.message.rejected"
    MESSAGE_DELIVERED = "gatepost.message.delivered"
    MESSAGE_DEFERRED = "gatepost.message.deferred"
    MESSAGE_BOUNCED = "gatepost.message.bounced"
    MESSAGE_EXPIRED = "gatepost.message.expired"
    MESSAGE_HELD = "gatepost.message.held"
    MESSAGE_RELEASED = "gatepost.message.released"
    MESSAGE_DROPPED = "gatepost.message.dropped"
    MESSAGE_COMPLAINED = "gatepost.message.complained"
    MESSAGE_RECEIVED = "gatepost.message.received"
    QUOTA_REACHED = "gatepost.quota.reached"
    """`percent` in its data: 50, 75, 90 or 100."""
    STORAGE_REACHED = "gatepost.storage.reached"
    REPUTATION_CHANGED = "gatepost.reputation.changed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `time` in seconds since 1970.

    `id` is unique in the installation and never changes. `subject` is `message/<id>`, `account/<id>` and the
    like. Whose it is stands in the four optional fields; `data` are JSON values without any secret.
    """

    id: str
    type: str
    time: float
    subject: str
    tenant_id: str | None = None
    workspace_id: str | None = None
    account_id: str | None = None
    environment: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def as_cloudevent(event: Event, source_uri: str) -> dict[str, Any]:
    """The event as a CloudEvents 1.0 document in JSON, times as RFC 3339; `source_uri`: the installation."""
    owners = {
        "tenantid": event.tenant_id,
        "workspaceid": event.workspace_id,
        "accountid": event.account_id,
        "environment": event.environment,
    }
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source_uri,
        "type": event.type,
        "subject": event.subject,
        "time": spelled_time(event.time),
        "datacontenttype": "application/json",
        **{name: value for name, value in owners.items() if value is not None},
        "data": plain(event.data),
    }


def spelled_time(at: float) -> str:
    """Seconds since 1970 as RFC 3339 has them, to the millisecond: `2026-11-26T15:04:05.678Z`."""
    return calendar_time(at).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
