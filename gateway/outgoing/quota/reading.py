"""Counters as they stand now, for telling; deciding reads them under lock."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.outgoing.queue import tables
from gateway.outgoing.quota.counters import Key

_COUNTER = tables.quota_counter.c
_KEY = (_COUNTER.scope, _COUNTER.scope_id, _COUNTER.metric, _COUNTER.window, _COUNTER.window_start)


def read_counters(connection: Connection, keys: Collection[Key]) -> dict[Key, int]:
    """What these counters stand at; those that nothing was taken from yet are left out."""
    if not keys:
        return {}
    found = connection.execute(sa.select(*_KEY, _COUNTER.value).where(sa.tuple_(*_KEY).in_(list(keys))))
    return {(row[0], row[1], row[2], row[3], row[4]): row[5] for row in found}
