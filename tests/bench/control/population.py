"""A platform of many tenants: their tenants by the services, their accounts by direct inserts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.app.desk import SYSTEM
from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.base import Base
from gateway.control.credentials.model import CredentialRow
from gateway.control.domains.model import DomainRow
from gateway.control.keys.material import make_key
from gateway.control.services import ControlServices

TENANTS = 1_000
_TENANTS_AT_ONCE = 50
_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Population:
    """What was made. Every account is in the one shared workspace; `password` is that of every account."""

    accounts: int
    workspace_id: str
    address: str
    password: str


def populate(services: ControlServices, accounts: int, tenants: int = TENANTS) -> Population:
    """Make the tenants, each with a trial domain, key and shard, and spread the accounts over them."""
    domains = list(_make_tenants(services, tenants))
    first = services.accounts.create(SYSTEM, f"a0@{domains[0].name}", tenant=domains[0].tenant_id, smtp=True)
    _, password = services.credentials.create(SYSTEM, first.id)
    with services.writes.database.write() as connection, Session(connection) as session:
        pattern = session.get_one(AccountRow, first.id)
        credential = session.scalars(sa.select(CredentialRow).filter_by(account_id=first.id)).one()
        made = _copies(services, domains, accounts, pattern, credential)
        while part := list(islice(made, _ROWS_AT_ONCE)):
            for number, table in enumerate((AccountRow, AccountAddressRow, CredentialRow)):
                session.execute(sa.insert(table), [rows[number] for rows in part])
    services.writes.database.checkpoint()
    return Population(accounts, first.workspace_id, first.address, password)


def _make_tenants(services: ControlServices, count: int) -> Iterator[DomainRow]:
    """Tenants, a few dozen in a transaction, and their trial domains: one key pair serves all of them."""
    material = make_key("rsa-sha256", 2048)
    for start in range(0, count, _TENANTS_AT_ONCE):
        with services.writes.change(SYSTEM) as change:
            within = services.within(change, make_key=lambda _, __: material)
            for number in range(start, min(start + _TENANTS_AT_ONCE, count)):
                tenant = within.tenants.create(SYSTEM, f"Customer {number}")
                domain = sa.select(DomainRow).filter_by(tenant_id=tenant.id)
                yield change.session.scalars(domain).one()


def _copies(
    services: ControlServices,
    domains: list[DomainRow],
    count: int,
    pattern: AccountRow,
    credential: CredentialRow,
) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Rows of accounts like the first, their addresses and app passwords."""
    account_values, credential_values = _values(pattern), _values(credential)
    ids = services.writes.ids
    for number in range(1, count):
        domain = domains[number % len(domains)]
        account_id, address = ids.uuid(), f"a{number}@{domain.name}"
        own = {"account_id": account_id, "tenant_id": domain.tenant_id, "created_at": pattern.created_at}
        yield (
            {**account_values, "id": account_id, "tenant_id": domain.tenant_id, "address": address},
            {**own, "key": address, "address": address, "environment": domain.environment,
             "domain_id": domain.id, "is_primary": True, "logs_in": False},
            {**credential_values, **own, "id": ids.uuid(), "key_id": f"bench{number}"},
        )  # fmt: skip


def _values(row: Base) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in sa.inspect(type(row)).column_attrs}
