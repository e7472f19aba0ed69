"""Moving accounts between workspaces: many at once, all or nothing, and what that changes for each.

Only the account's row changes: its counters are kept by its id (and follow it to another location), its mail
lies where it lay, its queued messages are sent from where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.accounts.placement import environment_differs, within_limits
from gateway.control.accounts.view import account_views
from gateway.control.domains.model import DomainRow
from gateway.control.errors import Conflict
from gateway.control.paging import in_parts
from gateway.control.plans.model import PlanRow
from gateway.control.policies.differences import ValueChange, differences
from gateway.control.policies.resolution import PolicySet
from gateway.control.policies.store import read_policy_set
from gateway.control.recording import payload, record
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlChange
from gateway.control.workspaces.assignment import read_assignments
from gateway.control.workspaces.find import find_workspace
from gateway.control.workspaces.model import WorkspaceRow
from gateway.control.workspaces.settling import counted_in, mark_move


@dataclass(frozen=True, slots=True)
class AccountMove:
    """One account on its way: its workspaces by id and name, how it is assigned, what changes for it."""

    grant_id: str
    address: str
    tenant_id: str
    from_workspace_id: str
    from_workspace: str
    to_workspace_id: str
    to_workspace: str
    from_assignment: str
    to_assignment: str
    changes: tuple[ValueChange, ...]


@dataclass(frozen=True, slots=True)
class MoveResult:
    """What was moved, or with `dry_run` would be. Accounts that are there already have no changes."""

    moves: tuple[AccountMove, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one account is to go, and how it is assigned then."""

    account: AccountRow
    workspace: WorkspaceRow
    assignment: str


def named_destinations(
    session: Session, actor: Actor, rows: Iterable[AccountRow], workspace: str
) -> list[Destination]:
    """All into one workspace, for good. Raises NotFound, Conflict (another environment), Forbidden."""
    places: dict[str, WorkspaceRow] = {}
    found = []
    for row in rows:
        place = places.get(row.tenant_id)
        if place is None:
            place = find_workspace(session, actor, workspace, tenant_id=row.tenant_id)
            places[row.tenant_id] = within_limits(actor, place)
        if place.environment != row.environment:
            raise environment_differs(row.address, row.environment, place)
        found.append(Destination(row, place, "explicit"))
    return found


def assigned_destinations(session: Session, actor: Actor, rows: Sequence[AccountRow]) -> list[Destination]:
    """Each where patterns and defaults say. Raises Conflict (no default), Forbidden."""
    domains = _domains(session, [row.id for row in rows])
    known = {one: read_assignments(session, one) for one in {row.environment for row in rows}}
    found = []
    for row in rows:
        place_id = known[row.environment].workspace_of(row.tenant_id, domains[row.id])
        if place_id is None:
            raise Conflict(
                "no-default-workspace",
                f"There is no default workspace of the environment {row.environment}.",
                "Name a workspace, or make one with --default.",
            )
        place = within_limits(actor, session.get_one(WorkspaceRow, place_id))
        found.append(Destination(row, place, "auto"))
    return found


def described(session: Session, destinations: Sequence[Destination]) -> tuple[AccountMove, ...]:
    """What the moves change for each account; asked before they are made."""
    comparison = _Comparison(session, [one.account for one in destinations])
    return tuple(
        AccountMove(
            grant_id=row.id,
            address=row.address,
            tenant_id=row.tenant_id,
            from_workspace_id=row.workspace_id,
            from_workspace=(source := session.get_one(WorkspaceRow, row.workspace_id)).name,
            to_workspace_id=place.id,
            to_workspace=place.name,
            from_assignment=row.assignment,
            to_assignment=one.assignment,
            changes=comparison.changes(row.tenant_id, source, place),
        )
        for one in destinations
        for row, place in ((one.account, one.workspace),)
    )


def carry_out(change: ControlChange, destinations: Sequence[Destination]) -> None:
    """Move the accounts, each with its audit entry; those that are there already are left alone."""
    moved = [
        one
        for one in destinations
        if (one.account.workspace_id, one.account.assignment) != (one.workspace.id, one.assignment)
    ]
    rows = [one.account for one in moved]
    before = in_parts(change.session, rows, account_views)
    for one in moved:
        source = change.session.get_one(WorkspaceRow, one.account.workspace_id)
        mark_move(one.account, counted_in(source), one.workspace.location, change.now)
        one.account.workspace_id, one.account.workspace_owner = one.workspace.id, one.workspace.owner
        one.account.assignment, one.account.updated_at = one.assignment, change.now
    change.session.flush()
    after = in_parts(change.session, rows, account_views)
    for old, new in zip(before, after, strict=True):
        record(change, "account.move", "account", old, new, account_id=new.id)


def move(change: ControlChange, destinations: Sequence[Destination], *, dry_run: bool) -> MoveResult:
    """Describe the moves and, unless it is a dry run, make them."""
    result = MoveResult(described(change.session, destinations), dry_run)
    if not dry_run:
        carry_out(change, destinations)
        change.result = payload(result)
    return result


def misplaced(session: Session, environment: str, tenant_id: str | None) -> list[Destination]:
    """The `auto` accounts (of one tenant if given) that patterns and defaults now want elsewhere."""
    known = read_assignments(session, environment)
    groups = (
        sa.select(AccountRow.tenant_id, DomainRow.id, DomainRow.name, AccountRow.workspace_id)
        .join(AccountAddressRow, AccountAddressRow.account_id == AccountRow.id)
        .join(DomainRow, DomainRow.id == AccountAddressRow.domain_id)
        .where(
            AccountRow.environment == environment,
            AccountRow.assignment == "auto",
            AccountAddressRow.is_primary,
        )
        .distinct()
    )
    if tenant_id is not None:
        groups = groups.where(AccountRow.tenant_id == tenant_id)
    found = []
    for owner, domain_id, domain, workspace_id in session.execute(groups).all():
        wanted = known.workspace_of(owner, domain)
        if wanted not in (None, workspace_id):
            place = session.get_one(WorkspaceRow, wanted)
            rows = _auto_accounts(session, domain_id, workspace_id)
            found += [Destination(row, place, "auto") for row in rows]
    return sorted(found, key=lambda one: one.account.id)


def _auto_accounts(session: Session, domain_id: str, workspace_id: str) -> Sequence[AccountRow]:
    return session.scalars(
        sa.select(AccountRow)
        .join(AccountAddressRow, AccountAddressRow.account_id == AccountRow.id)
        .where(
            AccountAddressRow.domain_id == domain_id,
            AccountAddressRow.is_primary,
            AccountRow.workspace_id == workspace_id,
            AccountRow.assignment == "auto",
        )
    ).all()


def _domains(session: Session, account_ids: Sequence[str]) -> Mapping[str, str]:
    statement = (
        sa.select(AccountAddressRow.account_id, DomainRow.name)
        .join(DomainRow, DomainRow.id == AccountAddressRow.domain_id)
        .where(AccountAddressRow.account_id.in_(account_ids), AccountAddressRow.is_primary)
    )
    return dict(session.execute(statement).all())


class _Comparison:
    """Works out what changes between two workspaces once for all accounts of tenants on one plan."""

    def __init__(self, session: Session, rows: Sequence[AccountRow]) -> None:
        tenants = {row.tenant_id for row in rows}
        named = sa.select(TenantRow.id, PlanRow.name).join(PlanRow, PlanRow.id == TenantRow.plan_id)
        if len(tenants) <= _FEW:
            named = named.where(TenantRow.id.in_(tenants))
        self._plans = dict(session.execute(named).all())
        self._policies: PolicySet = read_policy_set(session)
        self._known: dict[tuple[str, str, str], tuple[ValueChange, ...]] = {}

    def changes(self, tenant_id: str, source: WorkspaceRow, place: WorkspaceRow) -> tuple[ValueChange, ...]:
        """What changes for an account of the tenant. Raises UnknownDocument."""
        plan = self._plans[tenant_id]
        key = (plan, source.id, place.id)
        if key not in self._known:
            old, new = (
                self._policies.resolve(one.policy, plan, shared=one.tenant_id is None)
                for one in (source, place)
            )
            self._known[key] = differences(old, new, (source.location, place.location))
        return self._known[key]


_FEW = 500
