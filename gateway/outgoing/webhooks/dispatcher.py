"""From the feed to deliveries: each event once for each webhook that wants it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection

from gateway.control.events.types import Event, EventType, as_cloudevent
from gateway.control.webhooks.records import WebhookBook, WebhookRecord
from gateway.outgoing.follower import Follower
from gateway.outgoing.webhooks import store
from gateway.outgoing.webhooks.tables import PENDING, SKIPPED
from gateway.system.clock import Clock

Row = dict[str, Any]


class Dispatcher:
    """Writes down what is to be sent. Its methods block."""

    def __init__(self, follower: Follower, book: WebhookBook, source_uri: str, clock: Clock) -> None:
        """`source_uri` names the installation in what is sent: CloudEvents' `source`."""
        self._follower = follower
        self._book = book
        self._source_uri = source_uri
        self._clock = clock

    def step(self) -> tuple[int, bool]:
        """Look at the next events: how many deliveries came of them, and whether there is more at once.

        Raises Overtaken, DatabaseAway; then nothing of this step is stored.
        """
        page = self._follower.read()
        rows = self._rows(page.events, self._book.refresh().values()) if page.events else []
        self._follower.move(page, partial(_store, rows) if rows else None)
        return len(rows), page.more

    def _rows(self, events: Iterable[Event], webhooks: Iterable[WebhookRecord]) -> list[Row]:
        webhooks, now = list(webhooks), self._clock.now()
        return [
            delivery_row(webhook, event, self._source_uri, now)
            for event in events
            for webhook in webhooks
            if event.time >= webhook.created_at
            and webhook.wants(event.type, event.tenant_id, event.environment, event.workspace_id)
        ]


class Receiver(Protocol):
    """What a delivery needs to know of its webhook."""

    @property
    def id(self) -> str:
        """The webhook's id."""
        ...

    @property
    def state(self) -> str:
        """Active, paused or disabled."""
        ...


def delivery_row(webhook: Receiver, event: Event, source_uri: str, now: float) -> Row:
    """The row of one event for one webhook; for one that is disabled it is only there to be replayed."""
    skipped = webhook.state == "disabled"
    return {
        "webhook_id": webhook.id,
        "tenant_id": event.tenant_id,
        "event_id": event.id,
        "event_type": event.type,
        "event_at": event.time,
        "subject": event.subject,
        # Refusals tell of an account what has nothing to do with each other.
        "ordered": None if event.type == EventType.MESSAGE_REJECTED else event.subject,
        "body": json.dumps(as_cloudevent(event, source_uri), separators=(",", ":")),
        "state": SKIPPED if skipped else PENDING,
        "attempts": 0,
        "next_attempt_at": None if skipped else now,
        "created_at": now,
        "finished_at": now if skipped else None,
    }


def _store(rows: list[Row], connection: Connection) -> None:
    store.add(connection, rows)
