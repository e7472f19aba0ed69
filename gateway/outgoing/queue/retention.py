"""What goes when its time is over: finished records, old counters, blobs that nothing names.

For a periodic job; each function works in small transactions, so that nobody waits long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from gateway.control.events.types import HISTORY_SECONDS
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.history import delete_events, newest_event
from gateway.outgoing.queue.lookup import first_id_at
from gateway.outgoing.queue.once import KEPT_SECONDS
from gateway.outgoing.queue.states import LIVE
from gateway.system.blobs import BlobStore
from gateway.system.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_SECONDS = 86_400.0
_CHUNK = 200
_ORPHAN_SECONDS = 3600.0
_SHORT_WINDOWS_SECONDS = 2 * DAY_SECONDS
_LONG_WINDOWS_SECONDS = 400 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class RecordRetention:
    """How long finished records stay, in seconds from acceptance; `workspaces` by id where it differs.

    `policies`, by name, hold for mail of workspaces that are gone: what it was accepted under.
    """

    seconds: float = 90 * DAY_SECONDS
    workspaces: Mapping[str, float] = field(default_factory=dict)
    policies: Mapping[str, float] = field(default_factory=dict)

    def of(self, workspace_id: str | None, policy: str | None = None) -> float:
        """For mail of one workspace, accepted under a policy."""
        gone = self.policies.get(policy or "", self.seconds)
        return self.workspaces.get(workspace_id or "", gone)

    @property
    def shortest(self) -> float:
        """What is younger stays in any case."""
        return min([self.seconds, *self.workspaces.values(), *self.policies.values()])


def purge_records(database: Database, retention: RecordRetention, now: float) -> int:
    """Remove messages whose recipients are all finished and whose time is over; how many.

    Raises DatabaseAway.
    """
    purged, after = 0, ""
    message, recipient = tables.message, tables.recipient
    live = sa.exists().where(
        recipient.c.message_id == message.c.id, recipient.c.state.in_([state.value for state in LIVE])
    )
    owned = (message.c.workspace_id, message.c.policy_name)
    query = sa.select(message.c.id, *owned, message.c.received_at).order_by(message.c.id)
    end = first_id_at(now - retention.shortest)
    while True:
        with database.read() as connection:
            window = query.where(message.c.id > after, message.c.id < end).limit(_CHUNK)
            rows = connection.execute(window).all()
            over = {row.id for row in rows if row.received_at < now - retention.of(*row[1:3])}
            busy = connection.scalars(sa.select(message.c.id).where(message.c.id.in_(over), live)).all()
        if not rows:
            return purged
        after = rows[-1].id
        done = sorted(over - set(busy))
        if done:
            with database.write() as connection:
                _delete_messages(connection, done)
            purged += len(done)


def purge_counters(database: Database, now: float) -> int:
    """Remove quota counters of windows long past; how many rows. Raises DatabaseAway."""
    table = tables.quota_counter
    short = sa.and_(
        table.c.window.in_(["minute", "hour"]), table.c.window_start < now - _SHORT_WINDOWS_SECONDS
    )
    with database.write() as connection:
        old = table.c.window_start < now - _LONG_WINDOWS_SECONDS
        return connection.execute(sa.delete(table).where(sa.or_(short, old))).rowcount


def purge_keys(database: Database, now: float) -> int:
    """Remove callers' keys that stand for nothing any more; how many rows. Raises DatabaseAway."""
    table, removed = tables.idempotency, 0
    old = sa.select(table.c.account_id, table.c.key).where(table.c.at < now - KEPT_SECONDS).limit(_CHUNK)
    while True:
        with database.write() as connection:
            rows = connection.execute(old).all()
            for row in rows:
                connection.execute(
                    sa.delete(table).where(table.c.account_id == row.account_id, table.c.key == row.key)
                )
        removed += len(rows)
        if len(rows) < _CHUNK:
            return removed


def purge_loose_events(database: Database, now: float) -> int:
    """Remove events that belong to no message once nobody may read them any more; how many rows.

    Raises DatabaseAway.
    """
    event, removed = tables.event, 0
    old = sa.select(event.c.id).where(
        event.c.message_id == "", event.c.at < now - HISTORY_SECONDS, event.c.id < newest_event()
    )
    while True:
        with database.write() as connection:
            ids = connection.scalars(old.limit(_CHUNK)).all()
            connection.execute(sa.delete(event).where(event.c.id.in_(ids)))
        removed += len(ids)
        if len(ids) < _CHUNK:
            return removed


def collect_orphans(database: Database, blobs: BlobStore, now: float) -> int:
    """Delete blobs of the queue that no row has named for an hour; how many.

    Blobs are written before their rows, by seconds: an hour is far beyond doubt. Raises DatabaseAway,
    BlobsAway.
    """
    log = structlog.get_logger("gateway.outgoing.queue")
    old = (entry.key for entry in blobs.list("queue") if entry.modified_at < now - _ORPHAN_SECONDS)
    removed = 0
    for keys in _chunks(old):
        body = tables.message_body
        with database.read() as connection:
            named = set(connection.scalars(sa.select(body.c.blob_key).where(body.c.blob_key.in_(keys))))
        for key in keys:
            if key not in named:
                blobs.delete(key)
                log.info("orphan_blob_removed", key=key)
                removed += 1
    return removed


def _delete_messages(connection: Connection, ids: list[str]) -> None:
    delete_events(connection, ids)
    for table, column in (
        (tables.lookup, tables.lookup.c.message_id),
        (tables.message_facts, tables.message_facts.c.message_id),
        (tables.recipient, tables.recipient.c.message_id),
        (tables.message_body, tables.message_body.c.message_id),
        (tables.message, tables.message.c.id),
    ):
        connection.execute(sa.delete(table).where(column.in_(ids)))


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
