"""From effective limits to charges: only what is limited, one for a message however many recipients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gateway.control.policies import Limit, ScopeLimits
from gateway.outgoing.quota import charges_for


def identity(**limits: ScopeLimits) -> Any:
    scopes = {name: limits.get(name, ScopeLimits()) for name in ("account", "tenant", "workspace")}
    return SimpleNamespace(
        account=SimpleNamespace(id="acc"),
        tenant=SimpleNamespace(id="ten"),
        workspace=SimpleNamespace(id="wor", tenant_id="ten"),
        policy=SimpleNamespace(**scopes),
    )


def test_what_is_unlimited_takes_no_row() -> None:
    assert charges_for(identity(), 10) == ()


def test_each_limit_is_a_charge_in_its_scope() -> None:
    account = ScopeLimits(messages_per_day=Limit(200, "policy free"), storage_bytes=Limit(5, "policy free"))
    tenant = ScopeLimits(
        recipients_per_day=Limit(500, "plan free"), messages_per_minute=Limit(60, "plan free")
    )
    workspace = ScopeLimits(first_time_recipients_per_day=Limit(20, "policy x"), messages_per_month=Limit(9))
    charges = charges_for(identity(account=account, tenant=tenant, workspace=workspace), 10)
    assert [(c.scope, c.scope_id, c.metric, c.window, c.limit, c.amount, c.document) for c in charges] == [
        ("account", "acc", "messages", "day", 200, 1, "policy free"),
        ("tenant", "wor/ten", "messages", "minute", 60, 1, "plan free"),
        ("tenant", "wor/ten", "recipients", "day", 500, 10, "plan free"),
        ("workspace", "wor", "messages", "month", 9, 1, "built in"),
        ("workspace", "wor", "first_time_recipients", "day", 20, 10, "policy x"),
    ]
