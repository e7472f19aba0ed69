"""Following the feed of events: a place in it that moves together with what was made of the events.

The place lies in a location's database and is moved in the transaction that stores what follows from the
events read. A crash before it repeats them, a crash after it does not; two followers of one name on
different nodes cannot both move it.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.control.events.cursor import decode_cursor
from gateway.control.events.feed import Feed, FeedPage
from gateway.control.records import Actor
from gateway.outgoing.queue.tables import metadata
from gateway.system.clock import Clock
from gateway.system.database import Database

_PAGE = 500
_STORE_SECONDS = 10.0
_IDLE_SECONDS = 3_600.0

feed_reader = sa.Table(
    "feed_reader",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False),
)
"""Where those who follow the feed stand. The installation's, no tenant's."""


class Overtaken(Exception):
    """Another node has moved the place meanwhile; what this one made of the events is undone."""


class Follower:
    """One follower of the feed. Its methods block; call them from one thread at a time."""

    def __init__(self, name: str, feed: Feed, database: Database, clock: Clock) -> None:
        """`name` is the follower's for the life of the installation; `database` a location's."""
        self._feed = feed
        self._database = database
        self._clock = clock
        self._name = name
        self._actor = Actor(kind="system", id=name)
        self._stored: str | None = None
        self._stored_at = float("-inf")
        self._cursor: str | None = None
        self._known = False

    def read(self) -> FeedPage:
        """The next events, the oldest kept first where this follower is new. Raises DatabaseAway."""
        if not self._known:
            self._find_place()
        return self._feed.read(self._actor, self._cursor, limit=_PAGE)

    def move(self, page: FeedPage, store: Callable[[Connection], object] | None) -> None:
        """Go on behind `page`, and in the same transaction `store` what follows from its events.

        Where nothing follows (None) the place is stored now and then only: seeing those events again
        changes nothing. Raises Overtaken, DatabaseAway, what `store` raises; then the next `read` begins
        at the place that is stored.
        """
        self._cursor, self._known = page.cursor, True
        if store is None and not self._is_due(page.cursor):
            return
        self._known = False
        now = self._clock.now()
        with self._database.write() as connection:
            self._swap(connection, page.cursor, now)
            if store is not None:
                store(connection)
        self._stored, self._stored_at, self._known = page.cursor, now, True

    def _find_place(self) -> None:
        query = sa.select(feed_reader.c.cursor, feed_reader.c.changed_at)
        with self._database.read() as connection:
            row = connection.execute(query.where(feed_reader.c.name == self._name)).first()
        self._stored, self._stored_at = tuple(row) if row is not None else (None, float("-inf"))
        self._cursor, self._known = self._stored, True

    def _is_due(self, cursor: str) -> bool:
        """Whether a place from which nothing follows is worth a transaction."""
        age = self._clock.now() - self._stored_at
        if self._stored is None or age >= _IDLE_SECONDS:
            return True
        return (
            age >= _STORE_SECONDS and decode_cursor(cursor).positions != decode_cursor(self._stored).positions
        )

    def _swap(self, connection: Connection, cursor: str, now: float) -> None:
        values = {"cursor": cursor, "changed_at": now}
        if self._stored is None:
            try:
                connection.execute(sa.insert(feed_reader).values(name=self._name, **values))
            except IntegrityError as error:
                raise Overtaken(self._name) from error
            return
        mine = sa.and_(feed_reader.c.name == self._name, feed_reader.c.cursor == self._stored)
        if connection.execute(sa.update(feed_reader).where(mine).values(values)).rowcount != 1:
            raise Overtaken(self._name)
