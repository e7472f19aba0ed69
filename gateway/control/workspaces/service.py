"""Workspaces: containers of policy, shared or a tenant's own, one default an owner and environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.moves import AccountMove, carry_out, described, misplaced
from gateway.control.ceilings import WORKSPACES, leave_room
from gateway.control.clientids import set_client_id
from gateway.control.errors import Conflict, Forbidden, Invalid
from gateway.control.lookup import (
    clean_metadata,
    clean_name,
    environment_for,
    name_key,
    parse_environment,
    shown,
)
from gateway.control.paging import Page, PageQuery, in_parts, read_page
from gateway.control.plans.model import PlanRow
from gateway.control.recording import record
from gateway.control.records import Actor, Environment
from gateway.control.settings import ControlSettings
from gateway.control.tenants.find import changeable_tenant, find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.assignment import clean_patterns
from gateway.control.workspaces.find import find_workspace
from gateway.control.workspaces.model import SHARED, WorkspacePatternRow, WorkspaceRow
from gateway.control.workspaces.rules import PolicyRules
from gateway.control.workspaces.settling import mark_move
from gateway.control.workspaces.view import LISTING, WorkspaceView, workspace_view, workspace_views


class WorkspaceService:
    """Rules and transactions of workspaces."""

    def __init__(self, writes: ControlWrites, policies: PolicyRules, settings: ControlSettings) -> None:
        self._writes = writes
        self._policies = policies
        self._settings = settings

    def create(
        self,
        actor: Actor,
        name: str,
        *,
        tenant: str | None = None,
        policy: str = "default",
        environment: str = "production",
        location: str | None = None,
        patterns: Sequence[str] = (),
        default: bool = False,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WorkspaceView:
        """Make a workspace, shared without `tenant`; `default` takes that from the one that has it.

        Raises Invalid, Conflict, NotFound, Forbidden (a shared one, for a caller limited to a tenant).
        """
        clean, known = clean_name(name, "workspace"), environment_for(actor, environment)
        words, pairs = clean_patterns(patterns), clean_metadata(metadata)
        with self._writes.change(actor) as change:
            owner = changeable_tenant(change.session, actor, tenant) if tenant is not None else None
            if owner is None:
                _operator_only(actor)
            else:
                leave_room(change.session, actor, WORKSPACES, WorkspaceRow.id, WorkspaceRow.owner == owner.id)
            row = self.add(change, clean, owner, environment=known, policy=policy, location=location)
            row.metadata_ = pairs
            set_client_id(change.session, row, client_id)
            self._set_patterns(change, row, words)
            if default:
                _make_default(change, row)
            view = self._audited(change, "workspace.create", None, row)
            if words or default:
                self._reassign(change, row)
            return view

    def update(
        self,
        actor: Actor,
        reference: str,
        *,
        name: str | None = None,
        policy: str | None = None,
        location: str | None = None,
        patterns: Sequence[str] | None = None,
        default: bool = False,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WorkspaceView:
        """Change what is given, leave what is None. The environment never changes.

        A new location is where its accounts' mail is queued and counted from then on: the counters follow,
        and for seconds nothing is taken meanwhile. Mailboxes stay at home until they are moved. New patterns,
        or being the default now, move the `auto` accounts concerned at once; `preview_patterns` tells which.
        Raises NotFound, Invalid, Conflict, Forbidden.
        """
        words = clean_patterns(patterns) if patterns is not None else None
        with self._writes.change(actor) as change:
            row = find_workspace(change.session, actor, reference)
            if row.tenant_id is None:
                _operator_only(actor)
            before = workspace_view(change.session, row)
            if name is not None:
                self._rename(change.session, row, clean_name(name, "workspace"))
            if policy is not None:
                plan = _plan_of(change.session, row.tenant_id)
                row.policy = self._policies.chosen(change.session, actor, policy, plan, row.name)
            if location is not None:
                mark_move(row, row.location, self._location(location), change.now)
                row.location = location
            if metadata is not None:
                row.metadata_ = clean_metadata(metadata, row.metadata_)
            set_client_id(change.session, row, client_id)
            if words is not None:
                self._set_patterns(change, row, words)
            if default:
                _make_default(change, row)
            view = self._audited(change, "workspace.update", before, row)
            if words is not None or default:
                self._reassign(change, row)
            return view

    def preview_patterns(
        self,
        actor: Actor,
        reference: str,
        patterns: Sequence[str] | None = None,
        *,
        default: bool = False,
    ) -> tuple[AccountMove, ...]:
        """Which `auto` accounts other patterns, or being the default, would move, and what changes for each.

        Nothing is changed. Raises NotFound, Invalid, Conflict, Forbidden.
        """
        words = clean_patterns(patterns) if patterns is not None else None
        with self._writes.rehearsal(actor) as change:
            row = find_workspace(change.session, actor, reference)
            if row.tenant_id is None:
                _operator_only(actor)
            if words is not None:
                self._set_patterns(change, row, words)
            if default:
                _make_default(change, row)
            change.session.flush()
            return described(change.session, misplaced(change.session, row.environment, row.tenant_id))

    def page(self, actor: Actor, query: PageQuery) -> Page[WorkspaceView]:
        """A page of the workspaces the caller may see.

        Filters: name, tenant (its own and the shared ones; "shared": these alone), environment, policy,
        location, default, client_id, metadata.KEY. Sorts: name, created_at, updated_at. Raises Invalid,
        NotFound.
        """
        with self._writes.view() as session:
            return read_page(session, actor, LISTING, query, visible(actor, WorkspaceRow))

    def list(
        self, actor: Actor, *, tenant: str | None = None, environment: str | None = None
    ) -> tuple[WorkspaceView, ...]:
        """Workspaces by name: a tenant's own and the shared ones. Raises NotFound, Invalid."""
        with self._writes.view() as session:
            statement = sa.select(WorkspaceRow).where(visible(actor, WorkspaceRow))
            if tenant is not None:
                owner = find_tenant(session, actor, tenant)
                statement = statement.where(WorkspaceRow.owner.in_([owner.id, SHARED]))
            if environment is not None:
                statement = statement.where(WorkspaceRow.environment == parse_environment(environment))
            rows = session.scalars(statement.order_by(WorkspaceRow.name_key, WorkspaceRow.id)).all()
            return in_parts(session, rows, workspace_views)

    def show(self, actor: Actor, reference: str) -> WorkspaceView:
        """One workspace by name or id. Raises NotFound, Conflict (a name that several tenants use)."""
        with self._writes.view() as session:
            return workspace_view(session, find_workspace(session, actor, reference))

    # For other services, inside their transactions

    def add(
        self,
        change: ControlChange,
        name: str,
        owner: TenantRow | None,
        *,
        environment: Environment,
        policy: str,
        location: str | None = None,
    ) -> WorkspaceRow:
        """Store a workspace without patterns. Raises NotFound, Invalid, Conflict."""
        plan = _plan_of(change.session, owner.id if owner is not None else None)
        known = self._policies.chosen(change.session, change.actor, policy, plan, name)
        row = WorkspaceRow(
            id=change.ids.uuid(),
            name=name,
            name_key=name_key(name),
            owner=owner.id if owner is not None else SHARED,
            tenant_id=owner.id if owner is not None else None,
            environment=environment,
            location=self._location(location or self._settings.default_location),
            policy=known,
            is_default=False,
            metadata_={},
            created_at=change.now,
            updated_at=change.now,
        )
        _refuse_taken(change.session, row.owner, name)
        change.add(row)
        change.changed("workspace", row.id, tenant_id=row.tenant_id)
        return row

    def _rename(self, session: Session, row: WorkspaceRow, name: str) -> None:
        if name_key(name) != row.name_key:
            _refuse_taken(session, row.owner, name)
        row.name, row.name_key = name, name_key(name)

    def _location(self, name: str) -> str:
        if name not in self._settings.locations:
            raise Invalid(
                "no-location",
                f"There is no location {shown(name)}.",
                f"The configuration has: {', '.join(sorted(self._settings.locations))}.",
            )
        return name

    def _set_patterns(self, change: ControlChange, row: WorkspaceRow, patterns: Sequence[str]) -> None:
        """Replace the patterns."""
        session = change.session
        taken = session.scalars(
            sa.select(WorkspacePatternRow.pattern).where(
                WorkspacePatternRow.pattern.in_(patterns),
                WorkspacePatternRow.owner == row.owner,
                WorkspacePatternRow.environment == row.environment,
                WorkspacePatternRow.workspace_id != row.id,
            )
        ).first()
        if taken is not None:
            raise Conflict(
                "pattern-taken", f"Another workspace has the pattern {taken}.", "Remove it there first."
            )
        session.execute(sa.delete(WorkspacePatternRow).where(WorkspacePatternRow.workspace_id == row.id))
        for pattern in patterns:
            change.add(
                WorkspacePatternRow(
                    id=change.ids.uuid(),
                    workspace_id=row.id,
                    owner=row.owner,
                    environment=row.environment,
                    pattern=pattern,
                    created_at=change.now,
                )
            )

    def _reassign(self, change: ControlChange, row: WorkspaceRow) -> None:
        """Let the accounts that follow patterns and defaults follow those that hold now."""
        result = change.result
        carry_out(change, misplaced(change.session, row.environment, row.tenant_id))
        change.result = result

    def _audited(
        self, change: ControlChange, operation: str, before: WorkspaceView | None, row: WorkspaceRow
    ) -> WorkspaceView:
        row.updated_at = change.now
        change.session.flush()
        after = workspace_view(change.session, row)
        record(change, operation, "workspace", before, after)
        return after


def _make_default(change: ControlChange, row: WorkspaceRow) -> None:
    """Make a workspace its owner's default in its environment, instead of the one that is."""
    old = change.session.scalars(
        sa.select(WorkspaceRow).where(
            WorkspaceRow.owner == row.owner,
            WorkspaceRow.environment == row.environment,
            WorkspaceRow.is_default,
            WorkspaceRow.id != row.id,
        )
    ).one_or_none()
    if old is not None:
        old.is_default = False
        change.session.flush()
        change.changed("workspace", old.id, tenant_id=old.tenant_id)
    row.is_default = True
    if row.tenant_id is not None:
        # The tenant's record names its default workspace.
        change.changed("tenant", row.tenant_id, tenant_id=row.tenant_id)


def _plan_of(session: Session, tenant_id: str | None) -> str | None:
    if tenant_id is None:
        return None
    statement = sa.select(PlanRow.name).join(TenantRow, TenantRow.plan_id == PlanRow.id)
    return session.scalars(statement.where(TenantRow.id == tenant_id)).one()


def _refuse_taken(session: Session, owner: str, name: str) -> None:
    taken = sa.select(WorkspaceRow.id).where(
        WorkspaceRow.owner == owner, WorkspaceRow.name_key == name_key(name)
    )
    if session.scalar(taken) is not None:
        raise Conflict(
            "workspace-exists", f"There is a workspace {shown(name)} already.", "Choose another name."
        )


def _operator_only(actor: Actor) -> None:
    if not actor.is_operator:
        raise Forbidden(
            "operator-only", "Shared workspaces are the operator's.", "Name a tenant of your own."
        )
