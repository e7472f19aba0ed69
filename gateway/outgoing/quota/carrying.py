"""Copying counters from one location to another, when what is counted moves there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.outgoing.queue import tables
from gateway.system.clock import Clock
from gateway.system.database import Database

_AT_ONCE = 500
_LONGEST_WINDOW_SECONDS = 32 * 86_400
_PUT_COUNTER = sa.text(
    'INSERT INTO quota_counter (scope, scope_id, metric, "window", window_start, tenant_id, value)'
    " VALUES (:scope, :scope_id, :metric, :window, :window_start, :tenant_id, :value)"
    ' ON CONFLICT (scope, scope_id, metric, "window", window_start) DO UPDATE SET value = excluded.value'
)
_PUT_RECIPIENT = sa.text(
    "INSERT INTO first_recipient (account_id, address_hash, tenant_id, first_at)"
    " VALUES (:account_id, :address_hash, :tenant_id, :first_at) ON CONFLICT DO NOTHING"
)


class Carrier:
    """Carries counters between the locations of an installation.

    Nobody takes from them meanwhile. What the target has of an earlier stay is older, and overwritten.
    """

    def __init__(self, locations: Mapping[str, Database], clock: Clock) -> None:
        self._locations = locations
        self._clock = clock

    def carry(self, source: str, target: str, *, accounts: Sequence[str], workspaces: Sequence[str]) -> None:
        """Copy the counters of accounts, with the recipients they know, and of whole workspaces.

        A location that the configuration no longer has is left alone. Raises DatabaseAway.
        """
        old, new = self._locations.get(source), self._locations.get(target)
        if old is None or new is None:
            return
        for some in _parts(accounts):
            scope = sa.and_(_counter.c.scope == "account", _counter.c.scope_id.in_(some))
            self._copy(old, new, self._counters().where(scope), _PUT_COUNTER)
            known = sa.select(tables.first_recipient).where(tables.first_recipient.c.account_id.in_(some))
            self._copy(old, new, known, _PUT_RECIPIENT)
        for workspace_id in workspaces:
            whole = sa.and_(_counter.c.scope == "workspace", _counter.c.scope_id == workspace_id)
            each = sa.and_(_counter.c.scope == "tenant", _counter.c.scope_id.startswith(workspace_id + "/"))
            self._copy(old, new, self._counters().where(sa.or_(whole, each)), _PUT_COUNTER)

    def _counters(self) -> sa.Select[Any]:
        recent = self._clock.now() - _LONGEST_WINDOW_SECONDS
        return sa.select(_counter).where(_counter.c.window_start >= recent)

    def _copy(self, old: Database, new: Database, rows: sa.Select[Any], put: sa.TextClause) -> None:
        with old.read() as connection:
            found = [dict(row) for row in connection.execute(rows).mappings()]
        for some in _parts(found):
            with new.write() as connection:
                connection.execute(put, list(some))


_counter = tables.quota_counter


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
