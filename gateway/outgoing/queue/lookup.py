"""Finding messages by recipient, Message-ID or owner, without random pages of an index for each message.

What is older than a quarter of an hour is entered into a table of hashes, in chunks, when the store is
idle; what is younger, or was not reached yet, is found by looking at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.outgoing.queue import tables
from gateway.outgoing.queue.driver import ManyRows
from gateway.system.ids import encode_message_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

SETTLED_SECONDS = 900.0
"""Ids are made before their commit; nobody commits a message with an id older than this."""

Entry = tuple[str, str, str]
"""A key, a message's id, its tenant's."""

_CHUNK = 500
_ENTER = (
    "INSERT INTO lookup (key, message_id, tenant_id) VALUES (:key, :message_id, :tenant_id)"
    " ON CONFLICT DO NOTHING"
)
_OWNERS = ("tenant", "account")
_ENTERED = ("id", "header_message_id", *(f"{kind}_id" for kind in _OWNERS))


def owner_key(kind: str, owner_id: str) -> str:
    """The hash under which the messages of a `tenant` or an `account` are found.

    Not those of a workspace: each entry costs as much as a recipient's, and its tenant's lead there, too.
    """
    return key_of(f"{kind}:{owner_id}")


def key_of(text: str) -> str:
    """The hash under which an address or a Message-ID is found, in any case."""
    return blake2b(text.casefold().encode(), digest_size=10).hexdigest()


def enter_some(connection: Connection, now: float) -> int:
    """Enter the next messages, at most some hundreds; how many. For a time when nobody waits."""
    message, recipient = tables.message, tables.recipient
    rows = connection.execute(
        sa.select(*(message.c[name] for name in _ENTERED))
        .where(message.c.id > mark(connection), message.c.id < first_id_at(now - SETTLED_SECONDS))
        .order_by(message.c.id)
        .limit(_CHUNK)
    ).all()
    if not rows:
        return 0
    first, last = rows[0].id, rows[-1].id
    addresses = connection.execute(
        sa.select(recipient.c.message_id, recipient.c.tenant_id, recipient.c.address).where(
            recipient.c.message_id.between(first, last)
        )
    )
    keys = {(key_of(address), message_id, tenant) for message_id, tenant, address in addresses}
    keys |= {(key_of(row.header_message_id), row.id, row.tenant_id) for row in rows if row.header_message_id}
    keys |= _owned(rows)
    many = ManyRows(sa.text(_ENTER), connection.dialect.name)
    columns = ("key", "message_id", "tenant_id")
    many.execute(connection, [dict(zip(columns, entry, strict=True)) for entry in sorted(keys)])
    connection.execute(
        sa.text(
            "INSERT INTO lookup_mark (id, message_id) VALUES (1, :last)"
            " ON CONFLICT (id) DO UPDATE SET message_id = excluded.message_id"
        ),
        {"last": last},
    )
    return len(rows)


def _owned(rows: Iterable[Any]) -> set[Entry]:
    """The entries of messages under their owners, each of whom is hashed once."""
    found: set[Entry] = set()
    for kind in _OWNERS:
        hashes: dict[str, str] = {}
        owner_of = attrgetter(f"{kind}_id", "id", "tenant_id")
        for owner, message_id, tenant in map(owner_of, rows):
            if owner is not None:
                key = hashes.get(owner) or hashes.setdefault(owner, owner_key(kind, owner))
                found.add((key, message_id, tenant))
    return found


def find(connection: Connection, text: str, limit: int) -> list[str]:
    """The ids of messages with this recipient or Message-ID, the newest first."""
    message, recipient, lookup = tables.message, tables.recipient, tables.lookup
    entered = mark(connection)
    found = set(
        connection.scalars(
            sa.select(lookup.c.message_id)
            .where(lookup.c.key == key_of(text))
            .order_by(lookup.c.message_id.desc())
            .limit(limit)
        )
    )
    found |= set(
        connection.scalars(
            sa.select(recipient.c.message_id)
            .where(recipient.c.message_id > entered, sa.func.lower(recipient.c.address) == text.lower())
            .order_by(recipient.c.message_id.desc())
            .limit(limit)
        )
    )
    found |= set(
        connection.scalars(
            sa.select(message.c.id)
            .where(message.c.id > entered, sa.func.lower(message.c.header_message_id) == text.lower())
            .order_by(message.c.id.desc())
            .limit(limit)
        )
    )
    return sorted(found, reverse=True)[:limit]


def mark(connection: Connection) -> str:
    """The id up to which all messages are entered; those after it must be looked at."""
    return connection.scalar(sa.select(tables.lookup_mark.c.message_id)) or ""


def first_id_at(at: float) -> str:
    """The smallest message id of a moment: its first 48 bits are the milliseconds."""
    return encode_message_id(max(0, int(at * 1000)).to_bytes(6, "big") + bytes(10))
