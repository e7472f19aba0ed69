"""`/v1/workspaces`: containers of policy, shared or a tenant's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends

from gateway.control.accounts.moves import AccountMove
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor, Environment
from gateway.control.services import ControlServices
from gateway.control.workspaces.view import WorkspaceView
from gateway.faces.api.caller import Caller
from gateway.faces.api.listing import paging
from gateway.faces.api.models import ClientId, Metadata, MetadataChange, Name, Patch, Request, Text
from gateway.faces.api.operation import operation

api = APIRouter(tags=["workspaces"])

_FILTERS = ("name", "tenant", "environment", "policy", "location", "default", "client_id")


class WorkspaceCreate(Request):
    """A new workspace: without a tenant it is shared by all of them."""

    name: Name
    tenant: Name | None = None
    policy: Name = "default"
    environment: Environment = "production"
    location: Name | None = None
    patterns: tuple[Text, ...] = ()
    default: bool = False
    client_id: ClientId | None = None
    metadata: Metadata | None = None


class WorkspaceUpdate(Patch):
    """What is to change; accounts follow a new policy, and `auto` ones new patterns, within a second."""

    clears: ClassVar[Mapping[str, Any]] = {**Patch.clears, "patterns": ()}

    name: Name | None = None
    policy: Name | None = None
    location: Name | None = None
    patterns: tuple[Text, ...] | None = None
    default: Literal[True] | None = None
    client_id: ClientId | None = None
    metadata: MetadataChange | None = None


class PatternPreview(Request):
    """Patterns that the workspace might have instead of its own, and whether it might be the default."""

    patterns: tuple[Text, ...] | None = None
    default: bool = False


def _current(services: ControlServices, actor: Actor, path: Mapping[str, str]) -> WorkspaceView:
    return services.workspaces.show(actor, path["workspace"])


@operation(api, "POST", "/workspaces", cli="workspace create", shows=WorkspaceView, status=201)
def create_workspace(call: Caller, body: WorkspaceCreate) -> WorkspaceView:
    """Make a workspace."""
    return call.services.workspaces.create(call.actor, **body.given())


@operation(api, "GET", "/workspaces", cli="workspace list", shows=WorkspaceView, many=True)
def list_workspaces(
    call: Caller,
    page: Annotated[PageQuery, Depends(paging(*_FILTERS, sorts=("created_at", "updated_at", "name")))],
) -> Page[WorkspaceView]:
    """Workspaces; those of a `tenant` are its own and the shared ones ("shared": these alone)."""
    return call.services.workspaces.page(call.actor, page)


@operation(api, "GET", "/workspaces/{workspace}", cli="workspace show", shows=WorkspaceView)
def show_workspace(call: Caller, workspace: str) -> WorkspaceView:
    """One workspace, by name or id."""
    return call.services.workspaces.show(call.actor, workspace)


@operation(
    api,
    "PATCH",
    "/workspaces/{workspace}",
    cli="workspace update",
    shows=WorkspaceView,
    current=_current,
)
def update_workspace(call: Caller, workspace: str, body: WorkspaceUpdate) -> WorkspaceView:
    """Change a workspace's policy, name, location, patterns, default or metadata."""
    return call.services.workspaces.update(call.actor, workspace, **body.changes())


@operation(
    api, "POST", "/workspaces/{workspace}/preview", cli="workspace preview", shows=AccountMove, many=True
)
def preview_patterns(call: Caller, workspace: str, body: PatternPreview) -> tuple[AccountMove, ...]:
    """Which `auto` accounts other patterns would move, and what changes for each; nothing is changed."""
    return call.services.workspaces.preview_patterns(call.actor, workspace, **body.given())


@operation(
    api,
    "DELETE",
    "/workspaces/{workspace}",
    cli="workspace delete",
    shows=WorkspaceView,
    current=_current,
)
def delete_workspace(call: Caller, workspace: str) -> WorkspaceView:
    """Take away a workspace without accounts, and the API keys limited to it; shows what it was."""
    return call.services.deletion.delete_workspace(call.actor, workspace)
