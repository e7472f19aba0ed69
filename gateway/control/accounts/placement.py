"""Which workspace an account is in: a named one, or where patterns and defaults say."""

from __future__ import annotations

from sqlalchemy.orm import Session

from gateway.control.accounts.addresses import primary_domain
from gateway.control.accounts.model import AccountRow
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict, Forbidden
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange
from gateway.control.workspaces.assignment import assigned_workspace
from gateway.control.workspaces.find import find_workspace
from gateway.control.workspaces.model import WorkspaceRow
from gateway.control.workspaces.settling import counted_in, mark_move


def place_for(
    session: Session,
    actor: Actor,
    owner: TenantRow,
    domain: DomainRow,
    workspace: str | None,
    assigned_as: str | None = None,
) -> WorkspaceRow:
    """The workspace for an account of this domain; `assigned_as`: the one that patterns are asked about.

    Raises NotFound, Conflict, Forbidden.
    """
    if workspace is None:
        found = assigned_workspace(session, owner.id, assigned_as or domain.name, domain.environment)
        if found is None:
            raise Conflict(
                "no-default-workspace",
                f"There is no default workspace of the environment {domain.environment}.",
                "Name a workspace, or make one with --default.",
            )
        return within_limits(actor, found)
    row = find_workspace(session, actor, workspace, tenant_id=owner.id)
    if row.environment != domain.environment:
        raise environment_differs(domain.name, domain.environment, row)
    return within_limits(actor, row)


def within_limits(actor: Actor, place: WorkspaceRow) -> WorkspaceRow:
    """The workspace, if the caller's limits include it: what goes elsewhere is no longer its own."""
    if actor.workspace_id in (None, place.id) and actor.environment in (None, place.environment):
        return place
    raise Forbidden(
        "beyond-limits",
        f"The account would belong into {place.name} ({place.environment}), which is beyond this caller.",
        "Name a workspace that the caller is limited to, or use a key with wider limits.",
    )


def place_again(change: ControlChange, actor: Actor, row: AccountRow, workspace: str | None) -> None:
    """Put an account into a workspace for good, or (None) where patterns and defaults say.

    Raises NotFound, Conflict (another environment, no default), Forbidden.
    """
    session = change.session
    owner, source = session.get_one(TenantRow, row.tenant_id), session.get_one(WorkspaceRow, row.workspace_id)
    place = place_for(session, actor, owner, primary_domain(session, row), workspace)
    mark_move(row, counted_in(source), place.location, change.now)
    row.workspace_id, row.workspace_owner = place.id, place.owner
    row.assignment = "auto" if workspace is None else "explicit"


def environment_differs(what: str, environment: str, place: WorkspaceRow) -> Conflict:
    """The refusal to put something of one environment into a workspace of another."""
    return Conflict(
        "environment-differs",
        f"{what} is of environment {environment}, {place.name} of {place.environment}.",
        f"Environments never mix: choose a workspace of {environment}, or an account of a domain that was "
        f"added with --environment {place.environment}.",
    )
