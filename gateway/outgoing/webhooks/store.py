"""Statements on the table of deliveries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.outgoing.webhooks.schedule import next_attempt
from gateway.outgoing.webhooks.tables import DELIVERED, FAILED, IS_PENDING, PENDING, SKIPPED, delivery
from gateway.outgoing.webhooks.values import Attempt, Delivery

KEPT_SECONDS = 14 * 86_400.0
"""How long a delivery can be seen and replayed."""

_PURGE = 1_000
_columns = delivery.c


def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Write deliveries down, in the order of the events."""
    connection.execute(sa.insert(delivery), rows)


def waiting_webhooks(connection: Connection) -> list[str]:
    """The webhooks with pending deliveries: one step through the index for each, not for each delivery."""
    pending = sa.select(sa.func.min(_columns.webhook_id)).where(IS_PENDING)
    found = pending.cte("found", recursive=True)
    webhook_id = found.c[0]
    following = sa.select(pending.where(_columns.webhook_id > webhook_id).correlate(found).scalar_subquery())
    found = found.union_all(following.select_from(found).where(webhook_id.is_not(None)))
    return [row[0] for row in connection.execute(sa.select(found.c[0]).where(found.c[0].is_not(None)))]


def due(connection: Connection, webhook_id: str, now: float, limit: int) -> list[Delivery]:
    """The first deliveries of a webhook that may go now. One behind a pending one of its order waits."""
    earlier = delivery.alias("earlier")
    blocked = (
        sa.select(sa.literal(1))
        .select_from(earlier)
        .where(
            sa.text("earlier.state = 'pending'"),
            earlier.c.webhook_id == webhook_id,
            earlier.c.ordered == _columns.ordered,
            earlier.c.id < _columns.id,
        )
        .exists()
    )
    query = (
        sa.select(_columns.id, _columns.webhook_id, _columns.event_id, _columns.body, _columns.attempts)
        .where(
            sa.text("webhook_delivery.state = 'pending'"),
            _columns.webhook_id == webhook_id,
            _columns.next_attempt_at <= now,
            ~blocked,
        )
        .order_by(_columns.id)
        .limit(limit)
    )
    return [Delivery(*row) for row in connection.execute(query)]


def record(connection: Connection, attempts: Iterable[Attempt], random: Callable[[], float]) -> None:
    """Write how attempts ended. What is not as it was (replayed, gone) is left alone."""
    for attempt in attempts:
        made = attempt.delivery.attempts + 1
        again = None if attempt.succeeded or attempt.gone else next_attempt(made, attempt.at, random)
        state = DELIVERED if attempt.succeeded else FAILED if again is None else PENDING
        connection.execute(
            sa.update(delivery)
            .where(
                _columns.id == attempt.delivery.id,
                _columns.state == PENDING,
                _columns.attempts == attempt.delivery.attempts,
            )
            .values(
                state=state,
                attempts=made,
                next_attempt_at=again,
                last_status=attempt.status,
                last_error=attempt.error,
                finished_at=attempt.at if again is None else None,
            )
        )


def skip(connection: Connection, webhook_ids: Collection[str], now: float) -> int:
    """Give up what is pending for webhooks that are disabled or gone; how many deliveries that were."""
    pending = sa.and_(IS_PENDING, _columns.webhook_id.in_(webhook_ids))
    values = {"state": SKIPPED, "next_attempt_at": None, "finished_at": now}
    return connection.execute(sa.update(delivery).where(pending).values(values)).rowcount


def purge(connection: Connection, now: float) -> int:
    """Remove at most a thousand deliveries whose time is over; how many there were."""
    # The oldest have the lowest ids: nothing else is looked at.
    oldest = sa.select(_columns.id, _columns.created_at).order_by(_columns.id).limit(_PURGE)
    old = [row.id for row in connection.execute(oldest) if row.created_at < now - KEPT_SECONDS]
    if old:
        connection.execute(sa.delete(delivery).where(_columns.id.in_(old)))
    return len(old)
