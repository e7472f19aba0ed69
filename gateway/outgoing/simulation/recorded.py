"""Accepted messages of one workspace with their facts, in the order of time, some hundreds at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.mail.address import Mailbox, parse_mailbox
from gateway.mail.envelope import Envelope, RcptCommand
from gateway.outgoing.queue import lookup, tables
from gateway.outgoing.queue.lookup import first_id_at

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.control.records import WorkspaceRecord
    from gateway.system.database import Database

CHUNK = 200
_JUDGED = ("submission", "api")


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """A message as the queue's rows tell it. `at`: when its quota was taken; `facts` None: none were kept.

    `known` are the recipients (by number) that its account had written to before the replay began.
    """

    row: Any
    facts: str | None
    at: float
    envelope: Envelope
    known: frozenset[int]

    @property
    def release_from(self) -> float:
        """From when on it might leave."""
        scheduled: float | None = self.row.scheduled_at
        return self.at if scheduled is None else max(self.at, scheduled)


def recorded_messages(
    database: Database, workspace: WorkspaceRecord, since: float, until: float
) -> Iterator[RecordedMessage]:
    """The messages of submission and API that the workspace's accounts sent. Raises DatabaseAway.

    Each chunk is read in a transaction of its own: nothing that goes on is kept waiting.
    """
    after, end = first_id_at(since), first_id_at(until)
    while True:
        with database.read() as connection:
            rows = _rows(connection, workspace, after, end)
            found = _messages(connection, rows, since)
        yield from found
        if len(rows) < CHUNK:
            return
        after = rows[-1].id


def address_hash(mailbox: Mailbox) -> str:
    """As the queue remembers whom an account has written to."""
    return blake2b(mailbox.key.encode(), digest_size=16).hexdigest()


def _rows(connection: Connection, workspace: WorkspaceRecord, after: str, end: str) -> list[Any]:
    """The next ones. In a tenant's own workspace older ones are found among the tenant's."""
    message, entry = tables.message, tables.lookup
    query = (
        sa.select(message)
        .where(message.c.workspace_id == workspace.id, message.c.origin.in_(_JUDGED), message.c.id < end)
        .order_by(message.c.id)
    )
    rows: list[Any] = []
    if workspace.tenant_id is not None and after < (mark := lookup.mark(connection)):
        key = lookup.owner_key("tenant", workspace.tenant_id)
        entered = sa.select(entry.c.message_id).where(
            entry.c.key == key, entry.c.message_id > after, entry.c.message_id <= mark
        )
        rows = list(connection.execute(query.where(message.c.id.in_(entered)).limit(CHUNK)))
        if len(rows) == CHUNK:
            return rows
        after = mark
    rows += connection.execute(query.where(message.c.id > after).limit(CHUNK - len(rows)))
    return rows


def _messages(connection: Connection, rows: Sequence[Any], since: float) -> list[RecordedMessage]:
    ids = [row.id for row in rows]
    kept, recipient = tables.message_facts, tables.recipient
    facts = {
        row.message_id: row for row in connection.execute(sa.select(kept).where(kept.c.message_id.in_(ids)))
    }
    addresses: dict[str, list[Mailbox]] = {}
    query = sa.select(recipient.c.message_id, recipient.c.address).where(recipient.c.message_id.in_(ids))
    for message_id, address in connection.execute(query.order_by(recipient.c.message_id, recipient.c.n)):
        addresses.setdefault(message_id, []).append(parse_mailbox(address, smtputf8=True))
    known = _known(connection, rows, addresses, since)
    return [_message(row, facts.get(row.id), addresses.get(row.id, []), known) for row in rows]


def _known(
    connection: Connection, rows: Sequence[Any], addresses: dict[str, list[Mailbox]], since: float
) -> set[tuple[str, str]]:
    """Whom these accounts had written to before the replay began, where that was kept."""
    table = tables.first_recipient
    hashes = {address_hash(one) for group in addresses.values() for one in group}
    found: set[tuple[str, str]] = set()
    accounts = sorted({row.account_id for row in rows if row.account_id is not None})
    wanted = sorted(hashes)
    for start in range(0, len(wanted), 1_000):
        query = sa.select(table.c.account_id, table.c.address_hash).where(
            table.c.account_id.in_(accounts),
            table.c.address_hash.in_(wanted[start : start + 1_000]),
            table.c.first_at < since,
        )
        found.update((row.account_id, row.address_hash) for row in connection.execute(query))
    return found


def _message(
    row: Any, facts: Any | None, addresses: Sequence[Mailbox], known: set[tuple[str, str]]
) -> RecordedMessage:
    path = parse_mailbox(row.reverse_path, smtputf8=True) if row.reverse_path else None
    envelope = Envelope(path, tuple(map(RcptCommand, addresses)), smtputf8=row.smtputf8)
    numbers = (n for n, one in enumerate(addresses) if (row.account_id, address_hash(one)) in known)
    if facts is None:
        return RecordedMessage(row, None, row.received_at, envelope, frozenset(numbers))
    return RecordedMessage(row, facts.facts, facts.at, envelope, frozenset(numbers))
