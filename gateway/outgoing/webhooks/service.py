"""What became of deliveries, for people; and sending them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gateway.control.errors import Conflict, Invalid
from gateway.control.events.types import Event, EventType
from gateway.control.lookup import clean_moment, shown
from gateway.control.paging import LONGEST_PAGE, Page
from gateway.control.records import Actor
from gateway.control.webhooks.service import WebhookService
from gateway.control.webhooks.view import WebhookView
from gateway.outgoing.queue.audit import LocationAudit
from gateway.outgoing.webhooks.dispatcher import delivery_row
from gateway.outgoing.webhooks.tables import PENDING, STATES, delivery
from gateway.system.clock import Clock
from gateway.system.database import Database
from gateway.system.ids import IdSource

_columns = delivery.c


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One event on its way to a webhook; its name is the event's type.

    `attempts` were made; `last_status` is the last one's HTTP status, `last_error` why there is none.
    """

    id: str
    name: str
    tenant_id: str | None
    webhook_id: str
    event_id: str
    event: str
    subject: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None
    next_attempt_at: float | None
    event_at: float
    created_at: float
    finished_at: float | None


class DeliveryService:
    """Deliveries of the webhooks that a caller may see, kept for 14 days."""

    def __init__(
        self,
        database: Database,
        webhooks: WebhookService,
        audit: LocationAudit,
        clock: Clock,
        ids: IdSource,
        source_uri: str,
    ) -> None:
        """`database` is the default location's; `source_uri` names the installation in what is sent."""
        self._database = database
        self._webhooks = webhooks
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._source_uri = source_uri

    def deliveries(
        self,
        actor: Actor,
        webhook: str,
        *,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[DeliveryView]:
        """Deliveries to a webhook (its id or URL), the newest event first. Raises NotFound, Invalid."""
        if state is not None and state not in STATES:
            raise Invalid("bad-state", f"{shown(state)} is no state.", f"Choose {', '.join(STATES)}.")
        if not 1 <= limit <= LONGEST_PAGE:
            raise Invalid("bad-limit", f"{limit} is no page size.", f"Give a limit of 1 to {LONGEST_PAGE}.")
        found = self._webhooks.show(actor, webhook)
        query = sa.select(delivery).where(*_of(found)).order_by(_columns.id.desc()).limit(limit + 1)
        if state is not None:
            query = query.where(_columns.state == state)
        if cursor is not None:
            query = query.where(_columns.id < _number(cursor))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        views = tuple(_view(row) for row in rows[:limit])
        return Page(views, str(rows[limit - 1].id) if len(rows) > limit else None)

    def replay(self, actor: Actor, webhook: str, *, since: float, until: float | None = None) -> int:
        """Send what happened from `since` on (seconds since 1970) again, in order; how many events.

        What is pending already stays as it is. Raises NotFound, Conflict (the webhook is disabled), Invalid.
        """
        clean_moment(since)
        found = self._living(actor, webhook)
        now = self._clock.now()
        again = [*_of(found), _columns.event_at >= since, _columns.state != PENDING]
        if until is not None:
            again.append(_columns.event_at < clean_moment(until))
        values = {"state": PENDING, "attempts": 0, "next_attempt_at": now, "finished_at": None}
        with self._database.write() as connection:
            count = connection.execute(sa.update(delivery).where(*again).values(values)).rowcount
            after = {"since": since, "until": until, "events": count}
            place = ("webhook", found.id, found.tenant_id)
            self._audit.append(connection, actor, "webhook.replay", place, None, after, now)
        return count

    def ping(self, actor: Actor, webhook: str) -> DeliveryView:
        """Send an event that tells nothing, to see whether it arrives; it is tried again like any other.

        Raises NotFound, Conflict (the webhook is disabled).
        """
        found = self._living(actor, webhook)
        now = self._clock.now()
        event = Event(
            id=f"ping:{self._ids.uuid()}",
            type=EventType.WEBHOOK_PING,
            time=now,
            subject=f"webhook/{found.id}",
            tenant_id=found.tenant_id,
            workspace_id=found.workspace_id,
            environment=found.environment,
            data={"url": found.url},
        )
        row = delivery_row(found, event, self._source_uri, now)
        with self._database.write() as connection:
            made = connection.execute(sa.insert(delivery).values(row).returning(*delivery.c)).one()
            place = ("webhook", found.id, found.tenant_id)
            self._audit.append(connection, actor, "webhook.ping", place, None, {"event": event.id}, now)
        return _view(made)

    def _living(self, actor: Actor, webhook: str) -> WebhookView:
        found = self._webhooks.show(actor, webhook)
        if found.state == "disabled":
            raise Conflict(
                "webhook-disabled",
                f"The webhook {found.id} is disabled: {found.state_reason}.",
                f"`gatepost webhook resume {found.id}` first.",
            )
        return found


def _of(webhook: WebhookView) -> list[sa.ColumnElement[bool]]:
    """The deliveries of a webhook: of a tenant's, that tenant's alone."""
    mine = [_columns.webhook_id == webhook.id]
    return mine if webhook.tenant_id is None else [*mine, _columns.tenant_id == webhook.tenant_id]


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise Invalid(
            "bad-cursor",
            "The cursor is not one of this list.",
            "Start without a cursor and follow the one each page gives.",
        )
    return int(cursor)


def _view(row: Any) -> DeliveryView:
    return DeliveryView(
        # A webhook has each event once; the number of the row would count the deliveries to all.
        id=f"{row.webhook_id}.{row.event_id}",
        name=row.event_type,
        tenant_id=row.tenant_id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        event=row.event_type,
        subject=row.subject,
        state=row.state,
        attempts=row.attempts,
        last_status=row.last_status,
        last_error=row.last_error,
        next_attempt_at=row.next_attempt_at,
        event_at=row.event_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
