"""`/v1/tenants`: customer organisations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from gateway.control.accounts.moves import MoveResult
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor, Environment
from gateway.control.services import ControlServices
from gateway.control.tenants.fitting import PlanPreview
from gateway.control.tenants.view import TenantView
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import (
    ClientId,
    GraceSeconds,
    Metadata,
    MetadataChange,
    Name,
    Patch,
    Request,
    Text,
    Why,
)
from gateway.faces.api.operation import operation
from gateway.system.rendering import plain

api = APIRouter(tags=["tenants"])

LINES = "application/x-ndjson"


class TenantCreate(Request):
    """A new customer organisation: it gets a trial domain, its key and a shard at once."""

    name: Name
    plan: Name | None = None
    environment: Environment = "production"
    contacts: tuple[Text, ...] = ()
    notices: bool = True
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class TenantUpdate(Patch):
    """What is to change; a new plan acts at once, and only stops growth where less fits under it."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "contacts": ()}

    name: Name | None = None
    plan: Name | None = None
    contacts: tuple[Text, ...] | None = None
    notices: bool | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class Reason(Request):
    """Why, for the audit."""

    reason: Text | None = None


class TenantMove(Request):
    """Where all accounts of a tenant are to go; `environment`: only those of it."""

    workspace: Name
    environment: Environment | None = None
    dry_run: bool = False


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> TenantView:
    return services.tenants.show(actor, path["tenant"])


@operation(api, "POST", "/tenants", cli="tenant create", shows=TenantView, status=201)
def create_tenant(call: Caller, body: TenantCreate) -> TenantView:
    """Make a tenant that can send at once."""
    return call.services.tenants.create(call.actor, **body.given())


@operation(api, "GET", "/tenants", cli="tenant list", shows=TenantView, many=True)
def list_tenants(
    call: Caller,
    page: Annotated[
        PageQuery,
        Depends(paging("name", "status", "plan", "client_id", sorts=("created_at", "name", "updated_at"))),
    ],
) -> Page[TenantView]:
    """Tenants, the platform among them."""
    return call.services.tenants.page(call.actor, page)


@operation(api, "GET", "/tenants/{tenant}", cli="tenant show", shows=TenantView)
def show_tenant(call: Caller, tenant: str) -> TenantView:
    """One tenant, by name or id."""
    return call.services.tenants.show(call.actor, tenant)


@operation(api, "PATCH", "/tenants/{tenant}", cli="tenant update", shows=TenantView, current=_current)
def update_tenant(call: Caller, tenant: str, body: TenantUpdate) -> TenantView:
    """Change a tenant's contacts, notices or metadata; the operator also its plan, name and client_id."""
    return call.services.tenants.update(call.actor, tenant, **body.changes())


@operation(api, "POST", "/tenants/{tenant}/suspend", cli="tenant suspend", shows=TenantView, current=_current)
def suspend_tenant(call: Caller, tenant: str, body: Reason | None = None) -> TenantView:
    """Stop a tenant's logins, sessions and queue within a second."""
    return call.services.tenants.suspend(call.actor, tenant, reason=body.reason if body else None)


@operation(api, "POST", "/tenants/{tenant}/resume", cli="tenant resume", shows=TenantView, current=_current)
def resume_tenant(call: Caller, tenant: str) -> TenantView:
    """Let a suspended tenant go on."""
    return call.services.tenants.resume(call.actor, tenant)


@operation(api, "GET", "/tenants/{tenant}/plan-preview", cli="tenant preview", shows=PlanPreview)
def preview_plan(call: Caller, tenant: str, plan: Annotated[Name, Query()]) -> PlanPreview:
    """What another plan would change for a tenant, and what of it would no longer fit; nothing is changed."""
    return call.services.tenants.preview_plan(call.actor, tenant, plan)


@operation(api, "POST", "/tenants/{tenant}/move", cli="tenant move", shows=MoveResult, current=_current)
def move_tenant(call: Caller, tenant: str, body: TenantMove) -> MoveResult:
    """Move all accounts of a tenant into a workspace, all or none; a dry run only tells what changes."""
    return call.services.tenants.move(call.actor, tenant, **body.given())


@operation(api, "DELETE", "/tenants/{tenant}", cli="tenant delete", shows=TenantView, current=_current)
def delete_tenant(
    call: Caller, tenant: str, grace_seconds: GraceSeconds = None, reason: Why = None
) -> TenantView:
    """Stop all of a tenant at once, and let it go after its time of grace: `purge_at`."""
    return call.services.deletion.delete_tenant(
        call.actor, tenant, grace_seconds=grace_seconds, reason=reason
    )


@operation(api, "POST", "/tenants/{tenant}/restore", cli="tenant restore", shows=TenantView, current=_current)
def restore_tenant(call: Caller, tenant: str) -> TenantView:
    """Have a tenant back that is being deleted, as it was."""
    return call.services.deletion.restore_tenant(call.actor, tenant)


@operation(api, "GET", "/tenants/{tenant}/export", cli="tenant export", media=LINES)
def export_tenant(call: Caller, tenant: str) -> StreamingResponse:
    """Everything that is kept of a tenant, without secrets, and its audit: a JSON document a line."""
    documents = call.services.deletion.export_tenant(call.actor, tenant)
    return StreamingResponse((json.dumps(plain(one)) + "\n" for one in documents), media_type=LINES)
