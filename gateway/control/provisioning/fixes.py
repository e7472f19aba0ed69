"""What is left to do for an identity, as commands in the order in which they work. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from gateway.control.accounts.view import AccountView
from gateway.control.tenants.model import TenantRow


def next_steps(account: AccountView, tenant: TenantRow, *, has_password: bool) -> str | None:
    """Sentences that name commands; None if programs can log in now, as far as this side goes."""
    return " ".join(_steps(account, tenant, has_password)) or None


def _steps(account: AccountView, tenant: TenantRow, has_password: bool) -> Iterator[str]:
    if tenant.status == "suspended":
        yield f"`gatepost tenant resume {shlex.quote(tenant.name)}` lets the tenant work, which is suspended."
    if account.status == "suspended":
        yield f"`gatepost account resume {account.address}` lets the account work, which is suspended."
    if has_password:
        return
    if not (account.smtp or account.imap):
        yield f"`gatepost account update {account.address} --smtp` lets programs log in, then"
    yield f"`gatepost app-password create {account.address}` makes a new app password."
