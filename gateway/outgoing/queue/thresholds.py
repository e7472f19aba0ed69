"""What is told when a quota comes to a part of its limit. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.control.events.types import EventType
from gateway.outgoing.queue.outboxrows import loose_row
from gateway.outgoing.queue.rows import Row
from gateway.outgoing.quota import Reached, next_window

if TYPE_CHECKING:
    from gateway.outgoing.queue.values import NewMessage


def threshold_row(message: NewMessage, reached: Reached, now: float) -> Row:
    """The event of a threshold that `message` came to.

    It is its tenant's; that of a shared workspace's own counter is nobody's but the operator's.
    """
    charge = reached.charge
    data: dict[str, Any] = {
        "subject": _subject(message, reached),
        "workspace_id": message.workspace_id,
        "account_id": message.account_id if charge.scope == "account" else None,
        "environment": message.environment,
        "scope": charge.scope,
        "scope_id": charge.scope_id,
        "metric": charge.metric,
        "window": charge.window,
        "window_start": reached.window_start,
        "opens_at": next_window(charge.window, now),
        "percent": reached.percent,
        "limit": charge.limit,
        "value": reached.value,
        "document": charge.document,
    }
    return loose_row(EventType.QUOTA_REACHED, "" if charge.shared else message.tenant_id, now, data)


def _subject(message: NewMessage, reached: Reached) -> str:
    if reached.charge.scope == "tenant":
        return f"tenant/{message.tenant_id}"
    return f"{reached.charge.scope}/{reached.charge.scope_id}"
