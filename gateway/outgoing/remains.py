"""What a location keeps of tenants besides their mail: deliveries to webhooks, and notices to contacts.

Both tell of people, so they go with their tenant and do not wait for their own time.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from gateway.outgoing.notices.tables import notice
from gateway.outgoing.webhooks.tables import PENDING, delivery
from gateway.system.database import Database

_AT_ONCE = 1_000


def tenants(database: Database) -> set[str]:
    """The tenants of whom something is kept. Raises DatabaseAway."""
    with database.read() as connection:
        return _named(connection, delivery.c.tenant_id) | _named(connection, notice.c.tenant_id)


def forget(database: Database, tenant_ids: Iterable[str]) -> int:
    """Remove what is kept of tenants, in small transactions; how many rows. Raises DatabaseAway.

    A delivery that is still on its way stays until it ends: to a webhook of the tenant's own it ends at once,
    and the operator's are owed the word that the tenant went.
    """
    removed = 0
    for tenant_id in tenant_ids:
        ended = sa.and_(delivery.c.tenant_id == tenant_id, delivery.c.state != PENDING)
        some = delivery.c.id.in_(sa.select(delivery.c.id).where(ended).limit(_AT_ONCE))
        removed += _delete(database, sa.delete(notice).where(notice.c.tenant_id == tenant_id))
        while count := _delete(database, sa.delete(delivery).where(some)):
            removed += count
    return removed


def _delete(database: Database, statement: sa.Delete) -> int:
    with database.write() as connection:
        return connection.execute(statement).rowcount


def _named(connection: Connection, column: sa.Column[str]) -> set[str]:
    """What a column has, by one step through its index for each, not for each row."""
    first = sa.select(sa.func.min(column))
    found = first.cte("found", recursive=True)
    value = found.c[0]
    following = sa.select(first.where(column > value).correlate(found).scalar_subquery())
    found = found.union_all(following.select_from(found).where(value.is_not(None)))
    return {row[0] for row in connection.execute(sa.select(found.c[0]).where(found.c[0].is_not(None)))}
