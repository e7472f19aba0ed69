"""Reading records of each kind, all of them or those with given ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from sys import intern
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.credentials.model import CredentialRow, credential_record
from gateway.control.credentials.terms import MOST_AN_ACCOUNT
from gateway.control.domains.model import DomainRow
from gateway.control.keys.model import KeyRow
from gateway.control.lists.model import ListItemRow, ListRow
from gateway.control.plans.model import PlanRow
from gateway.control.raises.model import RaiseRow
from gateway.control.records import (
    AccountRecord,
    CredentialRecord,
    DomainRecord,
    KeyRecord,
    ListRecord,
    RaiseRecord,
    ShardRecord,
    SourceRecord,
    TenantRecord,
    WorkspaceRecord,
)
from gateway.control.shards.model import ShardRow
from gateway.control.sources.model import SourceRow
from gateway.control.tenants.model import TenantRow
from gateway.control.workspaces.model import WorkspaceRow

T = TypeVar("T")

# SQLite takes 32 766 parameters in a statement; a few statements cost nothing.
_IDS_AT_ONCE = 1_000
_REVOKED_KEPT = 10

Ids = Iterable[str] | None


def tenants(connection: Connection, ids: Ids) -> dict[str, TenantRecord]:
    """The tenants with these ids; None: all."""
    default = (
        sa.select(WorkspaceRow.id)
        .where(
            WorkspaceRow.tenant_id == TenantRow.id,
            WorkspaceRow.is_default,
            WorkspaceRow.environment == "production",
        )
        .scalar_subquery()
    )
    statement = sa.select(
        TenantRow.id,
        TenantRow.name,
        PlanRow.name.label("plan"),
        TenantRow.status,
        TenantRow.is_platform,
        default.label("default_workspace_id"),
    ).join(PlanRow, PlanRow.id == TenantRow.plan_id)
    return _records(connection, statement, TenantRow.id, ids, lambda row: TenantRecord(**row._mapping))


def workspaces(connection: Connection, ids: Ids) -> dict[str, WorkspaceRecord]:
    """The workspaces with these ids; None: all."""
    statement = sa.select(
        WorkspaceRow.id,
        WorkspaceRow.name,
        WorkspaceRow.tenant_id,
        WorkspaceRow.environment,
        WorkspaceRow.location,
        WorkspaceRow.policy,
        WorkspaceRow.is_default,
        WorkspaceRow.carry_from.is_not(None).label("settling"),
    )
    return _records(connection, statement, WorkspaceRow.id, ids, lambda row: WorkspaceRecord(**row._mapping))


def domains(connection: Connection, ids: Ids) -> dict[str, DomainRecord]:
    """The domains with these ids; None: all."""
    statement = sa.select(
        DomainRow.id,
        DomainRow.name,
        DomainRow.tenant_id,
        DomainRow.environment,
        DomainRow.kind,
        DomainRow.state,
        (DomainRow.mode == "send-receive").label("receives"),
    )
    return _records(connection, statement, DomainRow.id, ids, lambda row: DomainRecord(**row._mapping))


def shards(connection: Connection, ids: Ids) -> dict[str, ShardRecord]:
    """The shards with these ids, each with its source address; None: all."""
    statement = sa.select(
        ShardRow.id,
        ShardRow.name,
        ShardRow.tenant_id,
        ShardRow.environment,
        ShardRow.route,
        ShardRow.route_sealed,
        ShardRow.weight,
        ShardRow.streams,
        ShardRow.state,
        ShardRow.sign,
        ShardRow.created_at,
        ShardRow.source_id,
        ShardRow.domain_id,
        SourceRow.ipv4,
        SourceRow.ipv6,
        SourceRow.helo,
        SourceRow.pool,
    ).outerjoin(SourceRow, SourceRow.id == ShardRow.source_id)
    return _records(connection, statement, ShardRow.id, ids, _shard)


def keys(connection: Connection, ids: Ids) -> dict[str, KeyRecord]:
    """The DKIM keys with these ids, sealed; None: all that are not destroyed."""
    statement = sa.select(
        KeyRow.id,
        KeyRow.tenant_id,
        KeyRow.domain_id,
        KeyRow.domain,
        KeyRow.selector,
        KeyRow.algorithm,
        KeyRow.state,
        KeyRow.sealed,
        KeyRow.created_at,
        KeyRow.shard_id,
    ).where(KeyRow.state != "destroyed")
    return _records(connection, statement, KeyRow.id, ids, lambda row: KeyRecord(**row._mapping))


def raises(connection: Connection, ids: Ids, now: float) -> dict[str, RaiseRecord]:
    """The raised limits with these ids that hold now, or will; None: all."""
    statement = sa.select(
        RaiseRow.id, RaiseRow.tenant_id, RaiseRow.account_id, RaiseRow.limits, RaiseRow.until
    ).where(RaiseRow.revoked_at.is_(None), RaiseRow.until > now)
    return _records(connection, statement, RaiseRow.id, ids, lambda row: RaiseRecord(**row._mapping))


def lists(connection: Connection, ids: Ids) -> dict[str, ListRecord]:
    """The lists with these ids, each with all that stands in it; None: all."""
    values: dict[str, set[str]] = {}
    items = sa.select(ListItemRow.list_id, ListItemRow.value)
    for some in [None] if ids is None else _slices(ids):
        wanted = items if some is None else items.where(ListItemRow.list_id.in_(some))
        for list_id, value in connection.execute(wanted):
            values.setdefault(list_id, set()).add(value)
    statement = sa.select(ListRow.id, ListRow.name, ListRow.owner, ListRow.kind)
    return _records(
        connection,
        statement,
        ListRow.id,
        ids,
        lambda row: ListRecord(**row._mapping, values=frozenset(values.get(row.id, ()))),
    )


def shards_with_sources(connection: Connection, source_ids: Sequence[str]) -> set[str]:
    """The ids of the shards that send from these source addresses."""
    return set(connection.scalars(sa.select(ShardRow.id).where(ShardRow.source_id.in_(source_ids))))


def account(connection: Connection, account_id: str) -> AccountRecord | None:
    """One account with its aliases."""
    row = connection.execute(_ACCOUNT.where(AccountRow.id == account_id)).one_or_none()
    if row is None:
        return None
    aliases = connection.scalars(
        sa.select(AccountAddressRow.address)
        .where(AccountAddressRow.account_id == account_id, sa.not_(AccountAddressRow.is_primary))
        .order_by(AccountAddressRow.key)
    )
    # These are the same for many accounts, and a process keeps a hundred thousand.
    shared = {name: intern(row._mapping[name]) for name in _SHARED}
    return AccountRecord(**{**row._mapping, **shared}, aliases=tuple(aliases))


def account_of_address(connection: Connection, key: str) -> str | None:
    """The id of the account whose own address, now or once, has this key; other aliases log nobody in."""
    logs_in = sa.or_(AccountAddressRow.is_primary, AccountAddressRow.logs_in)
    return connection.scalar(
        sa.select(AccountAddressRow.account_id).where(AccountAddressRow.key == key, logs_in)
    )


def account_exists(connection: Connection, account_id: str) -> bool:
    """Whether there is an account with this grant id."""
    return connection.scalar(sa.select(AccountRow.id).where(AccountRow.id == account_id)) is not None


def credentials(connection: Connection, account_id: str) -> tuple[CredentialRecord, ...]:
    """An account's live credentials, then those revoked last, to tell a revoked one from a guess."""
    rows = connection.execute(
        sa.select(*sa.inspect(CredentialRow).columns)
        .where(CredentialRow.account_id == account_id)
        .order_by(CredentialRow.revoked_at.is_not(None), CredentialRow.revoked_at.desc(), CredentialRow.id)
        .limit(MOST_AN_ACCOUNT + _REVOKED_KEPT)
    )
    return tuple(credential_record(row) for row in rows)


def _records(
    connection: Connection,
    statement: sa.Select[*tuple[Any, ...]],
    id_column: Any,
    ids: Ids,
    record: Callable[[Row[*tuple[Any, ...]]], T],
) -> dict[str, T]:
    if ids is None:
        return {row.id: record(row) for row in connection.execute(statement)}
    found: dict[str, T] = {}
    for some in _slices(ids):
        rows = connection.execute(statement.where(id_column.in_(some)))
        found.update((row.id, record(row)) for row in rows)
    return found


def _slices(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, _IDS_AT_ONCE)):
        yield some


def _shard(row: Row[*tuple[Any, ...]]) -> ShardRecord:
    source = None
    if row.source_id is not None:
        source = SourceRecord(id=row.source_id, ipv4=row.ipv4, ipv6=row.ipv6, helo=row.helo, pool=row.pool)
    return ShardRecord(
        id=row.id,
        name=row.name,
        tenant_id=row.tenant_id,
        environment=row.environment,
        route=row.route,
        weight=row.weight,
        streams=frozenset(row.streams),
        state=row.state,
        source=source,
        sign=row.sign,
        created_at=row.created_at,
        route_credentials=row.route_sealed,
        domain_id=row.domain_id,
    )


_SHARED = ("tenant_id", "workspace_id", "status", "home_location", "environment")
_ACCOUNT = sa.select(
    AccountRow.id,
    AccountRow.tenant_id,
    AccountRow.workspace_id,
    AccountRow.address,
    AccountRow.display_name,
    AccountRow.status,
    AccountRow.smtp,
    AccountRow.imap,
    AccountRow.epoch,
    AccountRow.home_location,
    AccountRow.created_at,
    AccountRow.environment,
    AccountRow.carry_from.is_not(None).label("settling"),
)
