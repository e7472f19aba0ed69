"""Workspaces: containers of policy, shared or a tenant's own, one default an owner and environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.errors import Conflict, Forbidden, Invalid
from gateway.control.lookup import (
    clean_metadata,
    clean_name,
    environment_for,
    find,
    name_key,
    parse_environment,
    shown,
)
from gateway.control.plans.model import PlanRow
from gateway.control.recording import record
from gateway.control.records import Actor, Environment
from gateway.control.settings import ControlSettings
from gateway.control.tenants.find import changeable_tenant, find_tenant
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange, ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.assignment import clean_patterns
from gateway.control.workspaces.model import SHARED, WorkspacePatternRow, WorkspaceRow


class PolicyRules(Protocol):
    """What workspaces ask of the policies' room, inside a transaction."""

    def check_workspace(self, session: Session, policy: str, plan: str | None, workspace: str) -> None:
        """Refuse a policy that does not exist, or (with `plan`: the owner's) that exceeds the plan.

        `workspace` names it in the refusal. Raises NotFound, Conflict.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace; `tenant_id` None: shared."""

    id: str
    name: str
    tenant_id: str | None
    environment: str
    location: str
    policy: str
    is_default: bool
    patterns: tuple[str, ...]
    client_id: str | None
    metadata: dict[str, str]
    created_at: float
    updated_at: float


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
            row = self.add(change, clean, owner, environment=known, policy=policy, location=location)
            row.client_id, row.metadata_ = client_id, pairs
            self._set_patterns(change, row, words)
            if default:
                _make_default(change, row)
            return self._audited(change, "workspace.create", None, row)

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
        metadata: Mapping[str, str] | None = None,
    ) -> WorkspaceView:
        """Change what is given, leave what is None. The environment never changes.

        A new location is for new accounts: those that exist stay at home until they are moved.
        Raises NotFound, Invalid, Conflict, Forbidden.
        """
        words = clean_patterns(patterns) if patterns is not None else None
        pairs = clean_metadata(metadata) if metadata is not None else None
        with self._writes.change(actor) as change:
            row = find_workspace(change.session, actor, reference)
            if row.tenant_id is None:
                _operator_only(actor)
            before = workspace_view(change.session, row)
            if name is not None:
                self._rename(change.session, row, clean_name(name, "workspace"))
            if policy is not None:
                plan = _plan_of(change.session, row.tenant_id)
                self._policies.check_workspace(change.session, policy, plan, row.name)
                row.policy = policy
            row.location = row.location if location is None else self._location(location)
            row.metadata_ = row.metadata_ if pairs is None else pairs
            if words is not None:
                self._set_patterns(change, row, words)
            if default:
                _make_default(change, row)
            return self._audited(change, "workspace.update", before, row)

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
            return tuple(workspace_view(session, row) for row in rows)

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
        self._policies.check_workspace(change.session, policy, plan, name)
        row = WorkspaceRow(
            id=change.ids.uuid(),
            name=name,
            name_key=name_key(name),
            owner=owner.id if owner is not None else SHARED,
            tenant_id=owner.id if owner is not None else None,
            environment=environment,
            location=self._location(location or self._settings.default_location),
            policy=policy,
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
        """Replace the patterns. Accounts that exist stay until they are moved."""
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

    def _audited(
        self, change: ControlChange, operation: str, before: WorkspaceView | None, row: WorkspaceRow
    ) -> WorkspaceView:
        row.updated_at = change.now
        change.session.flush()
        after = workspace_view(change.session, row)
        record(change, operation, "workspace", before, after)
        return after


def find_workspace(
    session: Session, actor: Actor, reference: str, *, tenant_id: str | None = None
) -> WorkspaceRow:
    """A workspace by name or id; with `tenant_id` that tenant's own by this name comes before a shared one.

    Raises NotFound, Conflict.
    """
    seen = visible(actor, WorkspaceRow)
    if tenant_id is not None:
        seen = sa.and_(seen, WorkspaceRow.owner.in_([tenant_id, SHARED]))
        mine = session.scalars(
            sa.select(WorkspaceRow).where(
                WorkspaceRow.owner == tenant_id, WorkspaceRow.name_key == name_key(reference), seen
            )
        ).one_or_none()
        if mine is not None:
            return mine
    return find(
        session,
        WorkspaceRow,
        reference,
        kind="workspace",
        name=WorkspaceRow.name_key,
        key=name_key(reference),
        visible=seen,
    )


def workspace_view(session: Session, row: WorkspaceRow) -> WorkspaceView:
    """The view of a row."""
    patterns = session.scalars(
        sa.select(WorkspacePatternRow.pattern)
        .where(WorkspacePatternRow.workspace_id == row.id)
        .order_by(WorkspacePatternRow.pattern)
    )
    return WorkspaceView(
        id=row.id,
        name=row.name,
        tenant_id=row.tenant_id,
        environment=row.environment,
        location=row.location,
        policy=row.policy,
        is_default=row.is_default,
        patterns=tuple(patterns),
        client_id=row.client_id,
        metadata=dict(row.metadata_),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


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
