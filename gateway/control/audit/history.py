"""Looking back: an account as it was at a moment, and the report of a tenant's accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.control.accounts.find import find_account
from gateway.control.accounts.model import AccountRow
from gateway.control.audit.asof import PolicyHistory, PolicyThen, Step, StoredVersion, Timeline
from gateway.control.audit.entries import AuditQuery, AuditView, Condition, oldest_first
from gateway.control.audit.model import AuditEntryRow
from gateway.control.audit.report import (
    TENANT_KEYS,
    WORKSPACE_KEYS,
    AuditReport,
    RaisedLimits,
    TenantFacts,
    build_report,
    policy_at,
    timeline_of,
)
from gateway.control.audit.whose import find_tenant_id
from gateway.control.errors import Forbidden, Invalid, NotFound
from gateway.control.lookup import clean_moment, is_id, not_found
from gateway.control.plans.model import PlanRow
from gateway.control.policies.documents import Kind
from gateway.control.policies.model import DocumentVersionRow
from gateway.control.raises.model import RaiseRow
from gateway.control.records import Actor
from gateway.control.tenants.model import TenantRow
from gateway.control.transaction import ControlWrites
from gateway.control.visibility import visible
from gateway.control.workspaces.model import WorkspaceRow


@dataclass(frozen=True, slots=True)
class AccountThen:
    """An account at a moment (seconds since 1970). `policy` is what bound it, with every effective value."""

    id: str
    at: float
    address: str
    tenant_id: str
    tenant: str
    plan: str
    status: str
    smtp: bool
    imap: bool
    environment: str
    workspace_id: str
    workspace: str
    policy: PolicyThen | None
    raises: tuple[RaisedLimits, ...]


class AuditHistory:
    """Answers from audit entries and versions of documents; nothing else is kept for it."""

    def __init__(self, writes: ControlWrites) -> None:
        self._writes = writes

    def account_at(self, actor: Actor, reference: str, at: float) -> AccountThen:
        """An account as it was at `at`; by address, alias or id, by id also one that is gone.

        Raises NotFound (also: not made then, or deleted before), Forbidden, Invalid.
        """
        _require_tenant(actor)
        clean_moment(at)
        account_id, tenant_id = self._account(actor, reference)
        facts = self._facts(tenant_id, account_id)
        values = timeline_of(facts, account_id).at(at)
        tenant = facts.tenant.at(at)
        if values is None or tenant is None:
            raise NotFound(
                "account-not-then",
                f"Nothing is known of an account {reference} at that time.",
                "`gatepost audit list` shows when it was made.",
            )
        workspace_id = str(values["workspace_id"])
        known = facts.workspaces.get(workspace_id)
        workspace = known.at(at) if known is not None else None
        return AccountThen(
            id=account_id,
            at=at,
            address=values["address"],
            tenant_id=tenant_id,
            tenant=tenant["name"],
            plan=tenant["plan"],
            status=values["status"],
            smtp=values["smtp"],
            imap=values["imap"],
            environment=values["environment"],
            workspace_id=workspace_id,
            workspace=workspace["name"] if workspace is not None else workspace_id,
            policy=policy_at(facts, workspace_id, at),
            raises=_in_force(facts.raises, account_id, at),
        )

    def report(self, actor: Actor, tenant: str, since: float, until: float) -> AuditReport:
        """All accounts that a tenant had from `since` to `until` (seconds since 1970), and what befell them.

        The operator may name by its id a tenant that is gone. Raises NotFound, Invalid (an empty span),
        Forbidden.
        """
        _require_tenant(actor)
        if clean_moment(since) >= clean_moment(until):
            raise Invalid("empty-span", "The report would end before it begins.", "Give an earlier start.")
        tenant_id = self.tenant_id(actor, tenant)
        return build_report(self._facts(tenant_id), since, until, self._writes.clock.now())

    def tenant_id(self, actor: Actor, reference: str) -> str:
        """A tenant's id; for the operator also of one that is gone. Raises NotFound."""
        with self._writes.view() as session:
            return find_tenant_id(session, actor, reference)

    def _account(self, actor: Actor, reference: str) -> tuple[str, str]:
        try:
            with self._writes.view() as session:
                row = find_account(session, actor, reference)
                return row.id, row.tenant_id
        except NotFound:
            if not is_id(reference):
                raise
        query = AuditQuery(resource_id=reference.lower(), resource_kind="account")
        conditions = [visible(actor, AuditEntryRow), *query.conditions()]
        for entry in oldest_first(self._writes.view, conditions):
            if entry.tenant_id is not None:
                return entry.resource_id, entry.tenant_id
        raise not_found("account", reference)

    def _facts(self, tenant_id: str, account_id: str | None = None) -> TenantFacts:
        """What is known of a tenant, or what one account of it needs."""
        entries = self._entries(
            AuditQuery(resource_kind="account", tenant_id=tenant_id, resource_id=account_id)
        )
        passwords = self._passwords(tenant_id) if account_id is None else {}
        plans = self._entries(AuditQuery(resource_kind="tenant", resource_id=tenant_id))
        seen = sa.or_(AuditEntryRow.tenant_id == tenant_id, AuditEntryRow.tenant_id.is_(None))
        places = self._entries(AuditQuery(resource_kind="workspace"), seen)
        raised = self._entries(AuditQuery(resource_kind="raise", tenant_id=tenant_id))
        with self._writes.view() as session:
            accounts = _accounts_now(session, tenant_id, account_id)
            for known in entries:
                accounts.setdefault(known, None)
            return TenantFacts(
                tenant_id=tenant_id,
                tenant=Timeline.of(plans.get(tenant_id, ()), TENANT_KEYS, _tenant_now(session, tenant_id)),
                workspaces=_workspaces(session, tenant_id, places),
                policies=_policies(session),
                accounts=accounts,
                entries=entries,
                passwords=passwords,
                raises=_raises(session, tenant_id, raised),
            )

    def _entries(self, query: AuditQuery, *conditions: Condition) -> dict[str, list[AuditView]]:
        found: dict[str, list[AuditView]] = defaultdict(list)
        for entry in oldest_first(self._writes.view, [*query.conditions(), *conditions]):
            found[entry.resource_id].append(entry)
        return dict(found)

    def _passwords(self, tenant_id: str) -> dict[str, list[AuditView]]:
        query = AuditQuery(resource_kind="credential", tenant_id=tenant_id)
        found: dict[str, list[AuditView]] = defaultdict(list)
        for entry in oldest_first(self._writes.view, query.conditions()):
            payload = entry.after or entry.before
            if payload is not None:
                found[payload["account_id"]].append(entry)
        return dict(found)


def _require_tenant(actor: Actor) -> None:
    if not actor.spans_tenant:
        raise Forbidden(
            "audit-limited",
            "This caller is limited to a workspace or an environment; the audit is the tenant's.",
            "Use a key of the tenant, or of the platform.",
        )


def _accounts_now(session: Session, tenant_id: str, account_id: str | None) -> dict[str, Step | None]:
    statement = sa.select(AccountRow).where(AccountRow.tenant_id == tenant_id)
    if account_id is not None:
        statement = statement.where(AccountRow.id == account_id)
    return {
        row.id: Step(
            row.created_at,
            {
                "address": row.address,
                "workspace_id": row.workspace_id,
                "environment": row.environment,
                "status": row.status,
                "smtp": row.smtp,
                "imap": row.imap,
            },
        )
        for row in session.scalars(statement)
    }


def _tenant_now(session: Session, tenant_id: str) -> Step | None:
    statement = (
        sa.select(TenantRow.created_at, TenantRow.name, PlanRow.name.label("plan"))
        .join(PlanRow, PlanRow.id == TenantRow.plan_id)
        .where(TenantRow.id == tenant_id)
    )
    row = session.execute(statement).one_or_none()
    return Step(row.created_at, {"name": row.name, "plan": row.plan}) if row is not None else None


def _workspaces(
    session: Session, tenant_id: str, entries: Mapping[str, Sequence[AuditView]]
) -> dict[str, Timeline]:
    """The tenant's own and the shared ones, also those that are gone."""
    now = {
        row.id: Step(row.created_at, {"name": row.name, "tenant_id": row.tenant_id, "policy": row.policy})
        for row in session.scalars(
            sa.select(WorkspaceRow).where(
                sa.or_(WorkspaceRow.tenant_id == tenant_id, WorkspaceRow.tenant_id.is_(None))
            )
        )
    }
    return {
        workspace_id: Timeline.of(entries.get(workspace_id, ()), WORKSPACE_KEYS, now.get(workspace_id))
        for workspace_id in now.keys() | entries.keys()
    }


def _policies(session: Session) -> PolicyHistory:
    rows: Iterable[DocumentVersionRow] = session.scalars(sa.select(DocumentVersionRow))
    return PolicyHistory(
        StoredVersion(cast("Kind", row.kind), row.name, row.version, row.document, row.data, row.created_at)
        for row in rows
    )


def _raises(
    session: Session, tenant_id: str, entries: Mapping[str, Sequence[AuditView]]
) -> tuple[RaisedLimits, ...]:
    """All that ever were: the rows of those that are gone went with their account or tenant."""
    rows = session.scalars(
        sa.select(RaiseRow).where(RaiseRow.tenant_id == tenant_id).order_by(RaiseRow.created_at, RaiseRow.id)
    )
    kept = {row.id: _raised(row) for row in rows}
    gone = [
        _raised(SimpleNamespace(**entries[raise_id][-1].after))
        for raise_id in entries.keys() - kept.keys()
        if entries[raise_id][-1].after is not None
    ]
    return tuple(sorted([*kept.values(), *gone], key=lambda one: one.since))


def _raised(row: Any) -> RaisedLimits:
    """From a raise's row, or what an entry holds of it."""
    return RaisedLimits(
        row.account_id,
        dict(row.limits),
        row.created_at,
        row.until if row.revoked_at is None else min(row.until, row.revoked_at),
        row.reason,
        row.created_by,
    )


def _in_force(raises: Iterable[RaisedLimits], account_id: str, at: float) -> tuple[RaisedLimits, ...]:
    return tuple(
        one for one in raises if one.account_id in (None, account_id) and one.since <= at < one.until
    )
