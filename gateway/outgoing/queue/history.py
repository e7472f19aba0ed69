"""Removing rows of the history, so that readers of events never miss what comes after."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.outgoing.queue import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection


def delete_events(connection: Connection, message_ids: Collection[str]) -> None:
    """Remove the events of messages; the newest row of the table is only emptied.

    SQLite would give its number to another row, and readers that are past it would miss that one.
    """
    event = tables.event
    theirs = event.c.message_id.in_(message_ids)
    connection.execute(sa.delete(event).where(theirs, event.c.id < newest_event()))
    emptied = {column.name: None for column in event.columns if column.nullable}
    connection.execute(sa.update(event).where(theirs).values({**emptied, "message_id": "", "kind": "purged"}))


def newest_event() -> sa.ScalarSelect[int]:
    """The number of the newest row of the history."""
    return sa.select(sa.func.max(tables.event.alias().c.id)).scalar_subquery()
