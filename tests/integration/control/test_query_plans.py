"""What is asked with every request is found through indexes, however large an installation has become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.control.paging import PageQuery
from gateway.control.provisioning.values import AccountRequest, ProvisionRequest, TenantRequest
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, MakeServices
from tests.support.databases import Templates

GROWING = (
    *("accounts", "account_addresses", "audit_entries", "credentials", "dkim_keys", "domains"),
    *("pending_addresses", "shards", "tenants", "workspace_patterns", "workspaces"),
)


@contextmanager
def scans() -> Iterator[list[str]]:
    """Statements, of those executed meanwhile, for which SQLite reads a growing table whole."""
    found: list[str] = []
    seen: set[str] = set()

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement in seen or not statement.startswith(("SELECT", "UPDATE", "DELETE")):
            return
        seen.add(statement)
        some = parameters[0] if isinstance(parameters, list) else parameters
        plan = connection.connection.dbapi_connection.execute(f"EXPLAIN QUERY PLAN {statement}", some)
        steps = [str(row[3]) for row in plan]
        found.extend(f"{step}: {statement}" for step in steps if step in {f"SCAN {name}" for name in GROWING})

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", explain)


def wanted(number: int, domain: str | None = None) -> ProvisionRequest:
    """One more account of one more tenant."""
    account = AccountRequest("bob", client_id=f"user-{number}")
    tenant = TenantRequest(name=f"Tenant {number}")
    return ProvisionRequest(tenant, account, domain=domain, smtp=True, app_password=True)


def test_provisioning_and_changing_accounts_read_no_table_whole(
    database_templates: Templates, make_services: MakeServices, tmp_path: Path
) -> None:
    services: ControlServices = make_services(database_templates.sqlite("control", tmp_path / "control.db"))
    services.bootstrap()
    with scans() as found:
        made = services.provisioning.provision(OPERATOR, wanted(1, "one.example"))
        services.provisioning.provision_batch(OPERATOR, [wanted(2), wanted(1, "one.example")])
        services.accounts.page(OPERATOR, PageQuery(filters={"client_id": "user-1"}))
        services.accounts.page(OPERATOR, PageQuery(filters={"tenant": "Tenant 1"}, sort="address"))
        services.accounts.update(OPERATOR, made.address, display_name="Bob")
        services.workspaces.create(OPERATOR, "narrow", tenant="Tenant 1")
        services.accounts.move(OPERATOR, [made.grant_id], workspace="narrow")
        services.tenants.suspend(OPERATOR, "Tenant 2")
        for password in services.credentials.list(OPERATOR, made.address):
            services.credentials.revoke(OPERATOR, password.id)
    assert found == []
