"""What happened to a tenant's accounts in a span of time, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.control.audit.asof import PolicyHistory, PolicyThen, Step, Timeline
from gateway.control.audit.entries import AuditView

ACCOUNT_KEYS = ("address", "workspace_id", "environment", "status", "smtp", "imap")
WORKSPACE_KEYS = ("name", "tenant_id", "policy")
TENANT_KEYS = ("name", "plan")

_PASSWORDS = {
    "app-password.create": "app password made",
    "app-password.replace": "app password replaced",
    "app-password.revoke": "app password revoked",
}


@dataclass(frozen=True, slots=True)
class Stay:
    """An account was in a workspace; `until` None: at the end of the report still."""

    workspace_id: str
    workspace: str
    since: float
    until: float | None
    by: str | None


@dataclass(frozen=True, slots=True)
class PolicyPeriod:
    """What bound an account; `policy` is a name in the report's `policies`."""

    policy: str
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A switch of protocols or state, or an app password; `by` who did it, `address` from where."""

    at: float
    what: str
    by: str
    address: str | None
    entry: str


@dataclass(frozen=True, slots=True)
class AccountReport:
    """One account. `created_by` None: the audit has no entry of its creation."""

    account_id: str
    address: str
    created_at: float
    created_by: str | None
    created_from: str | None
    stays: tuple[Stay, ...]
    policies: tuple[PolicyPeriod, ...]
    changes: tuple[AccountChange, ...]


@dataclass(frozen=True, slots=True)
class RaisedLimits:
    """Limits raised for a time; `account_id` None: the tenant's. `until`: when that ended, or will."""

    account_id: str | None
    limits: Mapping[str, int]
    since: float
    until: float
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All accounts that a tenant had at some time from `since` to `until` (seconds since 1970).

    `policies`: what the periods name, with every effective value.
    """

    tenant_id: str
    tenant: str
    since: float
    until: float
    made_at: float
    accounts: tuple[AccountReport, ...]
    policies: Mapping[str, PolicyThen]
    raises: tuple[RaisedLimits, ...] = ()


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """All that a report is made of: entries oldest first, by the account they are about."""

    tenant_id: str
    tenant: Timeline
    workspaces: Mapping[str, Timeline]
    policies: PolicyHistory
    accounts: Mapping[str, Step | None]
    """Those there are or were: the values of today, since their creation; None for one that is gone."""
    entries: Mapping[str, Sequence[AuditView]]
    passwords: Mapping[str, Sequence[AuditView]]
    raises: tuple[RaisedLimits, ...] = field(default=())


def build_report(facts: TenantFacts, since: float, until: float, now: float) -> AuditReport:
    """The report of `since` to `until`; what lies after `now` is nobody's."""
    until = min(until, now)
    policies: dict[str, PolicyThen] = {}
    accounts = []
    for account_id in facts.accounts:
        one = _account(facts, account_id, since, until, policies)
        if one is not None:
            accounts.append(one)
    accounts.sort(key=lambda one: (one.created_at, one.account_id))
    tenant = facts.tenant.at(until) or {}
    raises = tuple(one for one in facts.raises if one.since < until and one.until > since)
    name = str(tenant.get("name", facts.tenant_id))
    return AuditReport(facts.tenant_id, name, since, until, now, tuple(accounts), policies, raises)


def policy_at(facts: TenantFacts, workspace_id: str, moment: float) -> PolicyThen | None:
    """What bound the tenant's accounts in a workspace then; None if either was not there."""
    workspace = facts.workspaces[workspace_id].at(moment) if workspace_id in facts.workspaces else None
    tenant = facts.tenant.at(moment)
    if workspace is None or tenant is None:
        return None
    shared = workspace["tenant_id"] is None
    return facts.policies.at(moment, workspace["policy"], tenant["plan"], shared=shared)


def timeline_of(facts: TenantFacts, account_id: str) -> Timeline:
    """An account's values over time."""
    return Timeline.of(facts.entries.get(account_id, ()), ACCOUNT_KEYS, facts.accounts[account_id])


def _account(
    facts: TenantFacts, account_id: str, since: float, until: float, policies: dict[str, PolicyThen]
) -> AccountReport | None:
    timeline = timeline_of(facts, account_id)
    there = [step for step in timeline.steps if step.values is not None]
    lives = [step for step in there if step.since < until]
    if not lives or not _was_there(timeline, since, until):
        return None
    entries = facts.entries.get(account_id, ())
    made = next((one for one in entries if one.operation == "account.create"), None)
    last = lives[-1].values or {}
    periods = list(_periods(facts, timeline, since, until, policies))
    return AccountReport(
        account_id=account_id,
        address=str(last["address"]),
        created_at=made.at if made is not None else there[0].since,
        created_by=made.by if made is not None else None,
        created_from=made.actor_address if made is not None else None,
        stays=tuple(_stays(facts, timeline, since, until)),
        policies=tuple(periods),
        changes=tuple(_changes(facts, account_id, since, until)),
    )


def _was_there(timeline: Timeline, since: float, until: float) -> bool:
    moments = [since, *timeline.changes(since, until)]
    return any(timeline.at(moment) is not None for moment in moments)


def _stays(facts: TenantFacts, timeline: Timeline, since: float, until: float) -> Iterator[Stay]:
    spans = _spans(timeline, since, until)
    for begin, end, step in _joined(spans, "workspace_id"):
        workspace_id = str((step.values or {})["workspace_id"])
        known = facts.workspaces.get(workspace_id)
        names = known.at(begin) if known is not None else None
        name = str(names["name"]) if names is not None else workspace_id
        yield Stay(workspace_id, name, begin, end, step.by)


def _spans(timeline: Timeline, since: float, until: float) -> Iterator[tuple[float, float | None, Step]]:
    """The steps that reach into the report, cut to it; an end at the report's is None."""
    for place, step in enumerate(timeline.steps):
        following = timeline.steps[place + 1].since if place + 1 < len(timeline.steps) else None
        if step.since >= until or (following is not None and following <= since):
            continue
        end = following if following is not None and following < until else None
        if step.values is not None:
            yield max(step.since, since), end, step


def _joined(
    spans: Iterator[tuple[float, float | None, Step]], key: str
) -> Iterator[tuple[float, float | None, Step]]:
    """Neighbours with the same value of `key` as one."""
    current: tuple[float, float | None, Step] | None = None
    for begin, end, step in spans:
        if current is not None and current[1] == begin and _value(current[2], key) == _value(step, key):
            current = (current[0], end, current[2])
            continue
        if current is not None:
            yield current
        current = (begin, end, step)
    if current is not None:
        yield current


def _value(step: Step, key: str) -> object:
    return (step.values or {}).get(key)


def _periods(
    facts: TenantFacts, timeline: Timeline, since: float, until: float, policies: dict[str, PolicyThen]
) -> Iterator[PolicyPeriod]:
    current: PolicyPeriod | None = None
    for moment in _moments(facts, timeline, since, until):
        values = timeline.at(moment)
        then = policy_at(facts, str(values["workspace_id"]), moment) if values is not None else None
        name = then.name if then is not None else None
        if current is not None and current.policy == name:
            continue
        if current is not None:
            yield PolicyPeriod(current.policy, current.since, moment)
        current = None
        if then is not None and name is not None:
            policies[name] = then
            current = PolicyPeriod(name, moment, None)
    if current is not None:
        yield current


def _moments(facts: TenantFacts, timeline: Timeline, since: float, until: float) -> list[float]:
    """When what bound an account may have changed."""
    moments = {since, *timeline.changes(since, until), *facts.tenant.changes(since, until)}
    moments.update(facts.policies.changes(since, until))
    visited = {str(step.values["workspace_id"]) for step in timeline.steps if step.values is not None}
    for workspace_id in visited & facts.workspaces.keys():
        moments.update(facts.workspaces[workspace_id].changes(since, until))
    return sorted(moments)


def _changes(facts: TenantFacts, account_id: str, since: float, until: float) -> Iterator[AccountChange]:
    entries = [*facts.entries.get(account_id, ()), *facts.passwords.get(account_id, ())]
    for entry in sorted(entries, key=lambda one: one.number or 0):
        if since <= entry.at < until:
            for what in _said(entry):
                yield AccountChange(entry.at, what, entry.by, entry.actor_address, entry.id)


def _said(entry: AuditView) -> Iterator[str]:
    if entry.resource_kind == "credential":
        payload = entry.after or entry.before or {}
        label = f' "{payload["label"]}"' if payload.get("label") else ""
        scopes = ", ".join(payload.get("scopes") or ())
        yield f"{_PASSWORDS.get(entry.operation, entry.operation)}{label} ({scopes}), id {entry.resource_id}"
        return
    before, after = entry.before or {}, entry.after or {}
    for protocol in ("smtp", "imap"):
        if after.get(protocol, False) != before.get(protocol, False) and protocol in after:
            yield f"{protocol} switched {'on' if after[protocol] else 'off'}"
    if before and after.get("status") != before.get("status") and "status" in after:
        yield f"status {after['status']}"
