"""`/v1/app-passwords`: credentials of accounts, shown once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, StringConstraints

from gateway.control.credentials.view import CredentialView
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.faces.api.caller import Call, Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import (
    ClientId,
    LongName,
    Metadata,
    MetadataChange,
    Name,
    Patch,
    Request,
    Text,
    model_of,
    seconds,
    with_fields,
)
from gateway.faces.api.operation import Tagged, operation
from gateway.system.rendering import plain

api = APIRouter(tags=["app-passwords"])

SHOWN: type[BaseModel] = with_fields(
    model_of(CredentialView), "AppPassword", last_used_at=datetime | None, last_used_address=str | None
)
MADE: type[BaseModel] = with_fields(
    model_of(CredentialView), "AppPasswordMade", app_password=str | None, fix=str | None
)

Chosen = Annotated[str, StringConstraints(max_length=100)]


class PasswordCreate(Request):
    """A new app password: for all protocols switched on, unless `scopes` says which."""

    account: LongName
    scopes: tuple[Literal["smtp", "imap"], ...] = ()
    label: Text | None = None
    expires_at: datetime | None = None
    networks: tuple[Text, ...] = ()
    stream: Name | None = None
    chosen: Chosen | None = None
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class PasswordUpdate(Patch):
    """What it is called; what it may do never changes."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "label": ""}

    label: Text | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class PasswordReplace(Request):
    """The caller's own new password, if it is not to be made."""

    chosen: Chosen | None = None


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> CredentialView:
    return services.credentials.view(actor, path["password"])


@operation(api, "POST", "/app-passwords", cli="app-password create", shows=MADE, status=201)
def create_password(call: Caller, body: PasswordCreate) -> dict[str, object]:
    """Make an app password. It is shown in this reply and never again."""
    given = body.given()
    if "expires_at" in given:
        given["expires_at"] = seconds(body.expires_at)
    record, text = call.services.credentials.create(call.actor, given.pop("account"), **given)
    return _made(call, record.id, text)


@operation(api, "GET", "/app-passwords", cli="app-password list", shows=SHOWN, many=True)
def list_passwords(
    call: Caller,
    page: Annotated[
        PageQuery, Depends(paging("account", "tenant", "revoked", "label", "key_id", "client_id"))
    ],
) -> Page[dict[str, object]]:
    """App passwords without their secrets, with their last use."""
    found = call.services.credentials.page(call.actor, page)
    return Page(tuple(_with_use(call, *found.items)), found.cursor)


@operation(api, "GET", "/app-passwords/{password}", cli="app-password show", shows=SHOWN)
def show_password(call: Caller, password: str) -> Tagged:
    """One app password, by its key id or id, without its secret."""
    view = call.services.credentials.view(call.actor, password)
    return Tagged(_with_use(call, view)[0], view)


@operation(
    api, "PATCH", "/app-passwords/{password}", cli="app-password update", shows=SHOWN, current=_current
)
def update_password(call: Caller, password: str, body: PasswordUpdate) -> Tagged:
    """Change what an app password is called."""
    view = call.services.credentials.update(call.actor, password, **body.changes())
    return Tagged(_with_use(call, view)[0], view)


@operation(
    api,
    "DELETE",
    "/app-passwords/{password}",
    cli="app-password revoke",
    shows=CredentialView,
    current=_current,
)
def revoke_password(call: Caller, password: str) -> CredentialView:
    """Make an app password worthless within a second, for open sessions too."""
    record = call.services.credentials.revoke(call.actor, password)
    return call.services.credentials.view(call.actor, record.id)


@operation(
    api,
    "POST",
    "/app-passwords/{password}/replace",
    cli="app-password replace",
    shows=MADE,
    status=201,
    current=_current,
)
def replace_password(call: Caller, password: str, body: PasswordReplace | None = None) -> dict[str, object]:
    """Make a new one on the same terms; the old one ends in the same moment."""
    chosen = body.chosen if body is not None else None
    record, text = call.services.credentials.replace(call.actor, password, chosen=chosen)
    return _made(call, record.id, text)


def _made(call: Call, credential_id: str, text: str) -> dict[str, object]:
    shown = plain(call.services.credentials.view(call.actor, credential_id))
    return {**shown, "app_password": text, "fix": None}


def _with_use(call: Call, *views: CredentialView) -> list[dict[str, object]]:
    uses = call.parts.queue.credential_uses([view.credential_id for view in views])
    rows = []
    for view in views:
        use = uses.get(view.credential_id)
        last = {
            "last_used_at": use.last_used_at if use is not None else None,
            "last_used_address": use.last_used_address if use is not None else None,
        }
        rows.append({**plain(view), **plain(last)})
    return rows
