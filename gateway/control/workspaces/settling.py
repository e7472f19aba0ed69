"""Counters that follow to another location, so that no move gives a quota anew.

A location's database holds the counters of what it stores. Where a move leads to another location, the
account (or all of a workspace) is marked: from the moment a worker obeys, nothing more is taken (451, for
seconds). When every worker does, the counters are copied, and the mark goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import sqlalchemy as sa

from gateway.control.accounts.model import AccountRow
from gateway.control.records import Actor
from gateway.control.transaction import ControlWrites
from gateway.control.workspaces.model import WorkspaceRow

# A worker obeys within a second, or takes nothing after two; then the old counters are final.
_OBEYED_SECONDS = 3.0
_AT_ONCE = 500


class CounterCarrier(Protocol):
    """What a move asks of the quotas."""

    def carry(self, source: str, target: str, *, accounts: Sequence[str], workspaces: Sequence[str]) -> None:
        """Copy the counters of accounts and of whole workspaces between locations. Raises DatabaseAway."""
        ...


_Row = TypeVar("_Row", AccountRow, WorkspaceRow)


@dataclass(frozen=True, slots=True)
class _Marked:
    id: str
    source: str
    target: str
    since: float


def mark_move(row: AccountRow | WorkspaceRow, source: str, target: str, now: float) -> None:
    """Note that what was counted in `source` counts in `target` from now on."""
    origin = row.carry_from or source
    row.carry_from, row.carry_at = (origin, now) if origin != target else (None, None)


def counted_in(workspace: WorkspaceRow) -> str:
    """The location that has the counters of a workspace's accounts."""
    return workspace.carry_from or workspace.location


class Settlement:
    """Lets the counters follow, and accounts go on then."""

    def __init__(self, writes: ControlWrites, carrier: CounterCarrier) -> None:
        self._writes = writes
        self._carrier = carrier

    def run(self, actor: Actor) -> int:
        """Carry what every worker has stopped adding to; how many accounts and workspaces go on.

        Raises DatabaseAway: the next run begins again, and copying twice does no harm.
        """
        due = self._writes.clock.now() - _OBEYED_SECONDS
        settled = 0
        while marked := self._marked_accounts(due):
            for source, target in {(one.source, one.target) for one in marked}:
                ids = [one.id for one in marked if (one.source, one.target) == (source, target)]
                self._carrier.carry(source, target, accounts=ids, workspaces=())
            self._unmark(actor, AccountRow, marked)
            settled += len(marked)
        for workspace in self._marked_workspaces(due):
            ids = self._accounts_of(workspace.id)
            self._carrier.carry(workspace.source, workspace.target, accounts=ids, workspaces=[workspace.id])
            self._unmark(actor, WorkspaceRow, [workspace])
            settled += 1
        return settled

    def _marked_accounts(self, due: float) -> list[_Marked]:
        columns = sa.select(
            AccountRow.id, AccountRow.carry_from, WorkspaceRow.location, AccountRow.carry_at
        ).join(WorkspaceRow, WorkspaceRow.id == AccountRow.workspace_id)
        return self._marked(columns.where(AccountRow.carry_at <= due).limit(_AT_ONCE))

    def _marked_workspaces(self, due: float) -> list[_Marked]:
        columns = sa.select(
            WorkspaceRow.id, WorkspaceRow.carry_from, WorkspaceRow.location, WorkspaceRow.carry_at
        )
        return self._marked(columns.where(WorkspaceRow.carry_at <= due))

    def _marked(self, statement: sa.Select[str, str | None, str, float | None]) -> list[_Marked]:
        with self._writes.view() as session:
            return [
                _Marked(row_id, source or target, target, since or 0.0)
                for row_id, source, target, since in session.execute(statement)
            ]

    def _accounts_of(self, workspace_id: str) -> list[str]:
        statement = sa.select(AccountRow.id).where(
            AccountRow.workspace_id == workspace_id, AccountRow.carry_from.is_(None)
        )
        with self._writes.view() as session:
            return list(session.scalars(statement))

    def _unmark(self, actor: Actor, table: type[_Row], marked: Sequence[_Marked]) -> None:
        """Those that were not moved again meanwhile."""
        with self._writes.change(actor) as change:
            for one in marked:
                row = change.session.get(table, one.id)
                if row is None or row.carry_at != one.since:
                    continue
                row.carry_from, row.carry_at = None, None
                kind, account_id = ("account", row.id) if table is AccountRow else ("workspace", None)
                change.changed(kind, row.id, tenant_id=row.tenant_id, account_id=account_id)
