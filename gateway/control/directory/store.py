"""The directory's questions to the control database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.control.directory import rows
from gateway.control.directory.accounts import AccountEntry
from gateway.control.directory.model import Change
from gateway.control.directory.snapshot import Policies, Rows
from gateway.control.installation.model import ChangeRow, HeadRow
from gateway.system.database import ChangeProbe, Database, DatabaseAway

T = TypeVar("T")

_POLICY_KINDS = frozenset({"policy", "plan"})


@dataclass(frozen=True, slots=True)
class News:
    """What changed up to `revision`: the change log's rows in order, and the records as they are now."""

    revision: int
    changes: tuple[Change, ...]
    rows: Rows


class DirectoryStore:
    """Reads only. Every answer comes with the revision it is true of. All methods raise DatabaseAway."""

    def __init__(
        self, database: Database, read_policies: Callable[[Connection], Policies], now: Callable[[], float]
    ) -> None:
        """`now`: the time, in seconds since 1970; limits raised until before then are not read."""
        self._database = database
        self._read_policies = read_policies
        self._now = now
        self._probe: ChangeProbe | None = None
        self._unread = True

    def may_have_changed(self) -> bool:
        """False when nothing was committed since `news` last answered: microseconds on SQLite."""
        if self._probe is None:
            self._probe = self._database.probe()
        # A change that was noticed stays noticed until it has been read: the reading may fail.
        try:
            self._unread = self._probe.changed() or self._unread
        except DatabaseAway:
            self.close()
            raise
        return self._unread

    def news(self, after: int) -> News | None:
        """What changed after that revision, or None if the log does not reach back so far."""
        with self._database.read() as connection:
            head = _head(connection)
            found = self._news(connection, after, head) if head != after else News(head, (), Rows())
        self._unread = False
        return found

    def everything(self) -> tuple[int, Rows]:
        """The revision, and all that is held in memory whole, as of it."""
        with self._database.read() as connection:
            head = _head(connection)
            read = Rows(
                tenants=dict(rows.tenants(connection, None)),
                workspaces=dict(rows.workspaces(connection, None)),
                domains=dict(rows.domains(connection, None)),
                shards=dict(rows.shards(connection, None)),
                keys=dict(rows.keys(connection, None)),
                raises=dict(rows.raises(connection, None, self._now())),
                lists=dict(rows.lists(connection, None)),
                policies=self._read_policies(connection),
            )
        return head, read

    def account(self, account_id: str) -> tuple[int, AccountEntry | None]:
        """The revision, and an account with its credentials as of it."""
        with self._database.read() as connection:
            head = _head(connection)
            account = rows.account(connection, account_id)
            if account is None:
                return head, None
            return head, AccountEntry(account, rows.credentials(connection, account_id))

    def account_of_login(self, name: str, *, is_id: bool) -> tuple[int, str | None]:
        """The revision, and the id of the account that a compared login names as of it."""
        with self._database.read() as connection:
            head = _head(connection)
            if is_id:
                return head, name if rows.account_exists(connection, name) else None
            return head, rows.account_of_address(connection, name)

    def _news(self, connection: Connection, after: int, head: int) -> News | None:
        if head < after or not _reaches_back(connection, after):
            return None
        log = connection.execute(
            sa.select(ChangeRow.kind, ChangeRow.row_id, ChangeRow.tenant_id, ChangeRow.account_id)
            .where(ChangeRow.revision > after, ChangeRow.revision <= head)
            .order_by(ChangeRow.revision, ChangeRow.n)
        )
        changes = tuple(Change(row.kind, row.row_id, row.tenant_id, row.account_id) for row in log)
        read = _read(connection, changes, self._now())
        if any(change.kind in _POLICY_KINDS for change in changes):
            read = replace(read, policies=self._read_policies(connection))
        return News(head, changes, read)

    def close(self) -> None:
        """Give the watching connection back; the next question takes a new one."""
        if self._probe is not None:
            self._probe.close()
            self._probe = None


def _head(connection: Connection) -> int:
    """Asked first: what the rest of the transaction reads is this revision or, at worst, a newer one."""
    return connection.scalar(sa.select(HeadRow.revision).where(HeadRow.id == 1)) or 0


def _reaches_back(connection: Connection, after: int) -> bool:
    """Whether nothing after that revision was pruned: the log still has it, or something older."""
    oldest = connection.scalar(sa.select(sa.func.min(ChangeRow.revision)))
    return oldest is not None and oldest <= after + 1


def _read(connection: Connection, changes: tuple[Change, ...], now: float) -> Rows:
    ids: dict[str, set[str]] = {}
    for change in changes:
        ids.setdefault(change.kind, set()).add(change.id)
        if change.kind == "workspace" and change.tenant_id is not None:
            # It may have become its tenant's default, or no longer be.
            ids.setdefault("tenant", set()).add(change.tenant_id)
    if "source" in ids:
        moved = rows.shards_with_sources(connection, sorted(ids["source"]))
        ids.setdefault("shard", set()).update(moved)
    return Rows(
        tenants=_now(ids.get("tenant"), rows.tenants(connection, ids.get("tenant", ()))),
        workspaces=_now(ids.get("workspace"), rows.workspaces(connection, ids.get("workspace", ()))),
        domains=_now(ids.get("domain"), rows.domains(connection, ids.get("domain", ()))),
        shards=_now(ids.get("shard"), rows.shards(connection, ids.get("shard", ()))),
        keys=_now(ids.get("key"), rows.keys(connection, ids.get("key", ()))),
        raises=_now(ids.get("raise"), rows.raises(connection, ids.get("raise", ()), now)),
        lists=_now(ids.get("list"), rows.lists(connection, ids.get("list", ()))),
    )


def _now(ids: Iterable[str] | None, found: dict[str, T]) -> dict[str, T | None]:
    """Each id with its record, or None: it is gone."""
    return {row_id: found.get(row_id) for row_id in ids or ()}
