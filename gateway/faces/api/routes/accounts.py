"""`/v1/accounts`: mail identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends
from pydantic import Field

from gateway.control.accounts.moves import MoveResult
from gateway.control.accounts.view import AccountView
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import (
    ClientId,
    GraceSeconds,
    LongName,
    Metadata,
    MetadataChange,
    Name,
    Patch,
    Request,
    Text,
    Why,
)
from gateway.faces.api.operation import operation
from gateway.faces.api.routes.tenants import Reason
from gateway.outgoing.queue.views import SignInView

api = APIRouter(tags=["accounts"])

MOST_MOVED = 500

_FILTERS = (
    *("address", "tenant", "workspace", "domain", "environment", "status", "assignment"),
    *("smtp", "imap", "client_id"),
)


class AccountCreate(Request):
    """A new account; without a workspace it goes where patterns and defaults say."""

    address: LongName
    tenant: Name
    workspace: Name | None = None
    display_name: Text | None = None
    aliases: tuple[Text, ...] = ()
    smtp: bool = False
    imap: bool = False
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class AccountUpdate(Patch):
    """What is to change; `auto` assigns it by patterns and defaults again."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "display_name": ""}

    workspace: Name | None = None
    auto: bool | None = None
    suspended: bool | None = None
    reason: Text | None = None
    smtp: bool | None = None
    imap: bool | None = None
    display_name: Text | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class AccountMoves(Request):
    """Accounts by address or grant id, and where they go: into a workspace, or (`auto`) by patterns."""

    accounts: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_MOVED)]
    workspace: Name | None = None
    auto: bool = False
    dry_run: bool = False


class Alias(Request):
    """A further address of a domain of the account's tenant and environment."""

    address: LongName


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> AccountView:
    return services.accounts.show(actor, path["account"])


@operation(api, "POST", "/accounts", cli="account create", shows=AccountView, status=201)
def create_account(call: Caller, body: AccountCreate) -> AccountView:
    """Make an account; its `id` is its grant id."""
    return call.services.accounts.create(call.actor, **body.given())


@operation(api, "GET", "/accounts", cli="account list", shows=AccountView, many=True)
def list_accounts(
    call: Caller,
    page: Annotated[PageQuery, Depends(paging(*_FILTERS, sorts=("created_at", "updated_at", "address")))],
) -> Page[AccountView]:
    """Accounts, of a tenant, a workspace or a domain where one is named."""
    return call.services.accounts.page(call.actor, page)


@operation(api, "POST", "/accounts/move", cli="account move", shows=MoveResult)
def move_accounts(call: Caller, body: AccountMoves) -> MoveResult:
    """Move up to 500 accounts, all or none, effective at once; a dry run only tells what changes for each."""
    given = body.given()
    return call.services.accounts.move(call.actor, given.pop("accounts"), **given)


@operation(api, "GET", "/accounts/{account}", cli="account show", shows=AccountView)
def show_account(call: Caller, account: str) -> AccountView:
    """One account, by address, alias or grant id."""
    return call.services.accounts.show(call.actor, account)


@operation(api, "GET", "/accounts/{account}/logins", cli="account logins", shows=SignInView, many=True)
def list_logins(call: Caller, account: str) -> Sequence[SignInView]:
    """The last 50 sign-in attempts of an account, with the true reason of each."""
    return call.parts.queue.logins(call.services.accounts.show(call.actor, account).id)


@operation(api, "PATCH", "/accounts/{account}", cli="account update", shows=AccountView, current=_current)
def update_account(call: Caller, account: str, body: AccountUpdate) -> AccountView:
    """Change an account: effective within a second, for open sessions too."""
    return call.services.accounts.update(call.actor, account, **body.changes())


@operation(
    api, "POST", "/accounts/{account}/suspend", cli="account suspend", shows=AccountView, current=_current
)
def suspend_account(call: Caller, account: str, body: Reason | None = None) -> AccountView:
    """Stop an account's logins and sessions within a second; its mail stays."""
    return call.services.accounts.suspend(call.actor, account, reason=body.reason if body else None)


@operation(
    api, "POST", "/accounts/{account}/resume", cli="account resume", shows=AccountView, current=_current
)
def resume_account(call: Caller, account: str) -> AccountView:
    """Let a suspended account log in again."""
    return call.services.accounts.resume(call.actor, account)


@operation(
    api,
    "POST",
    "/accounts/{account}/aliases",
    cli="account alias add",
    shows=AccountView,
    status=201,
    current=_current,
)
def add_alias(call: Caller, account: str, body: Alias) -> AccountView:
    """Give an account one more address."""
    return call.services.accounts.add_alias(call.actor, account, body.address)


@operation(
    api,
    "DELETE",
    "/accounts/{account}/aliases/{address}",
    cli="account alias remove",
    shows=AccountView,
    current=_current,
)
def remove_alias(call: Caller, account: str, address: str) -> AccountView:
    """Take an address away from an account."""
    return call.services.accounts.remove_alias(call.actor, account, address)


@operation(api, "DELETE", "/accounts/{account}", cli="account delete", shows=AccountView, current=_current)
def delete_account(
    call: Caller, account: str, grace_seconds: GraceSeconds = None, reason: Why = None
) -> AccountView:
    """Stop an account at once, and let it go after its time of grace: `purge_at`."""
    return call.services.deletion.delete_account(
        call.actor, account, grace_seconds=grace_seconds, reason=reason
    )


@operation(
    api, "POST", "/accounts/{account}/restore", cli="account restore", shows=AccountView, current=_current
)
def restore_account(call: Caller, account: str) -> AccountView:
    """Have an account back that is being deleted, as it was."""
    return call.services.deletion.restore_account(call.actor, account)
