"""Requests as a platform makes them."""

from __future__ import annotations

from typing import Any

from gateway.control.provisioning.values import AccountRequest, ProvisionRequest, TenantRequest


def request(tenant: str | None = "Acme", local_part: str = "bob", **more: Any) -> ProvisionRequest:
    """A request for SMTP with an app password; `account_*` and `tenant_*` fill the parts."""
    parts: dict[str, dict[str, Any]] = {"account": {}, "tenant": {}}
    for name in list(more):
        part, _, rest = name.partition("_")
        if part in parts and rest:
            parts[part][rest] = more.pop(name)
    options = {"smtp": True, "app_password": True} | more
    return ProvisionRequest(
        TenantRequest(tenant, **parts["tenant"]), AccountRequest(local_part, **parts["account"]), **options
    )
