"""A report as text: a table for spreadsheets, or JSON. The page for readers is `page.py`. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from gateway.control.audit.asof import PolicyThen
from gateway.control.audit.report import AccountReport, AuditReport, RaisedLimits
from gateway.control.events.types import spelled_time
from gateway.control.sheets import as_csv

COLUMNS = ("account_id", "address", "what", "since", "until", "by", "from", "detail")

Line = tuple[object, ...]


def report_csv(report: AuditReport) -> str:
    """One line for each fact: what, from when to when (RFC 3339, UTC), by whom, from where."""
    lines: list[Line] = []
    for account in report.accounts:
        lines += _account_lines(account, report)
    lines += [_raise_line(one) for one in report.raises]
    return as_csv(COLUMNS, lines)


def report_json(report: AuditReport) -> str:
    """The whole report as one JSON document; times are seconds since 1970."""
    return json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False)


def policy_text(policy: PolicyThen) -> str:
    """An effective policy in one line: every value, and the document it comes from."""
    values = "; ".join(f"{one.key} = {one.value} ({one.source})" for one in policy.values)
    rules = f"; rules: {', '.join(policy.rules)}" if policy.rules else ""
    return policy.problem or f"{policy.name}: {values}{rules}"


def raised_text(raised: RaisedLimits) -> str:
    """Raised limits in one line."""
    limits = ", ".join(f"{name} = {value}" for name, value in sorted(raised.limits.items()))
    return f"{limits} ({raised.reason})"


def _account_lines(account: AccountReport, report: AuditReport) -> Iterator[Line]:
    def line(
        what: str, since: float, until: float | None, by: str | None, place: str | None, text: str
    ) -> Line:
        return (account.account_id, account.address, what, _time(since), _time(until), by, place, text)

    yield line("created", account.created_at, None, account.created_by, account.created_from, "")
    for stay in account.stays:
        name = f"{stay.workspace} ({stay.workspace_id})"
        yield line("workspace", stay.since, stay.until, stay.by, None, name)
    for period in account.policies:
        text = policy_text(report.policies[period.policy])
        yield line("policy", period.since, period.until, None, None, text)
    for change in account.changes:
        yield line("change", change.at, None, change.by, change.address, change.what)


def _raise_line(raised: RaisedLimits) -> Line:
    until = _time(raised.until)
    return (
        raised.account_id,
        None,
        "raise",
        _time(raised.since),
        until,
        raised.by,
        None,
        raised_text(raised),
    )


def _time(at: float | None) -> str | None:
    return spelled_time(at) if at is not None else None
