"""Messages, stores and rows for the queue's tests."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.outgoing.queue import (
    Delivery,
    NewMessage,
    NewRecipient,
    Outcome,
    OutcomeKind,
    QueueStore,
    tables,
)
from gateway.outgoing.signing import Signatures
from gateway.system.blobs import LocalBlobs
from gateway.system.clock import Clock, ManualClock
from gateway.system.database import Database
from gateway.system.ids import IdSource

NOW = 1_800_000_000.0
CONTENT = b"From: a@acme.example\r\nTo: b@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
SIGNATURES = Signatures(b"DKIM-Signature: v=1; ...\r\n", ("key-1", "key-2"), b"h" * 32, NOW)

_numbers = itertools.count(1)


def new_recipient(address: str = "b@example.net", **changes: Any) -> NewRecipient:
    values = {"domain": address.rpartition("@")[2], "shard_id": "shard-1", **changes}
    return NewRecipient(address, **values)


def new_message(*recipients: NewRecipient, clock: Clock | None = None, **changes: Any) -> NewMessage:
    clock = clock or ManualClock(NOW)
    number = next(_numbers)
    content = changes.pop("content", CONTENT)
    values: dict[str, Any] = {
        # Ids of one millisecond sort by chance: a test wants the order in which it made them.
        "id": IdSource(ManualClock(clock.now() + number / 1000)).message_id(),
        "tenant_id": "tenant-1",
        "account_id": "account-1",
        "workspace_id": "workspace-1",
        "environment": "production",
        "origin": "submission",
        "stream": "default",
        "reverse_path": "a@acme.example",
        "from_address": "a@acme.example",
        "from_domain": "acme.example",
        "size": len(content),
        "content": content,
        "sign": lambda: SIGNATURES,
        "recipients": recipients or (new_recipient(),),
        "received_at": clock.now(),
        "give_up_at": clock.now() + 3 * 86_400,
        "header_message_id": f"<{number}@acme.example>",
    }
    return NewMessage(**(values | changes))


def outcome(delivery: Delivery, kind: OutcomeKind, index: int = 0, **changes: Any) -> Outcome:
    recipient = delivery.recipients[index]
    values: dict[str, Any] = {"at": NOW + 1, "reply": "250 2.0.0 ok", **changes}
    message = delivery.message
    values.setdefault("used_by", message.used_by)
    return Outcome(message.id, recipient.n, recipient.attempt, kind, tenant_id=message.tenant_id, **values)


@asynccontextmanager
async def running_store(
    database: Database, folder: Path, incarnation: str = "me", clock: Clock | None = None, **options: Any
) -> AsyncIterator[QueueStore]:
    options = {"floor_bytes": 0, **options}
    store = QueueStore(
        database, LocalBlobs(folder), "default", incarnation, clock or ManualClock(NOW), **options
    )
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def recipients_of(database: Database, message_id: str | None = None) -> list[Any]:
    """The recipient rows, in order."""
    query = sa.select(tables.recipient).order_by(tables.recipient.c.message_id, tables.recipient.c.n)
    if message_id is not None:
        query = query.where(tables.recipient.c.message_id == message_id)
    with database.read() as connection:
        return list(connection.execute(query))


def states_of(database: Database, message_id: str | None = None) -> list[str]:
    return [row.state for row in recipients_of(database, message_id)]


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def events_of(database: Database, message_id: str) -> list[str]:
    query = sa.select(tables.event.c.kind).where(tables.event.c.message_id == message_id)
    with database.read() as connection:
        return [row[0] for row in connection.execute(query.order_by(tables.event.c.id))]
