"""A report as one page for readers: no script, nothing loaded from elsewhere, every text escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from gateway.control.audit.asof import PolicyThen
from gateway.control.audit.formats import raised_text
from gateway.control.audit.report import AccountReport, AuditReport
from gateway.control.events.types import spelled_time

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h2 { margin: 2rem 0 .3rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
caption { font-weight: 600; text-align: left; }
th, td { border-bottom: 1px solid #ccc; overflow-wrap: anywhere; padding: .2rem .6rem .2rem 0; }
th, td { text-align: left; vertical-align: top; }
""".strip()

_STILL = "the end of the report"


def report_html(report: AuditReport) -> str:
    """The report as an HTML document; times are UTC."""
    title = f"Accounts of {report.tenant}, {spelled_time(report.since)} to {spelled_time(report.until)}"
    keys = {name: f"P{number}" for number, name in enumerate(report.policies, 1)}
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>Tenant {escape(report.tenant_id)}. Made {spelled_time(report.made_at)} from the audit's "
            f"entries and the versions of policies. Accounts: {len(report.accounts)}.</p>",
            *(_account(account, keys) for account in report.accounts),
            *_raises(report),
            "<h1>Policies</h1>",
            *(_policy(keys[name], policy) for name, policy in report.policies.items()),
            "</body></html>",
            "",
        ]
    )


def _account(account: AccountReport, keys: dict[str, str]) -> str:
    made = f"made {spelled_time(account.created_at)} by {account.created_by or 'somebody unknown'}"
    place = f" from {account.created_from}" if account.created_from else ""
    stays = (
        (_span(one.since, one.until), f"{one.workspace} ({one.workspace_id})", one.by)
        for one in account.stays
    )
    periods = ((_span(one.since, one.until), keys[one.policy], one.policy) for one in account.policies)
    changes = ((spelled_time(one.at), one.what, one.by, one.address, one.entry) for one in account.changes)
    return "\n".join(
        [
            f"<h2>{escape(account.address)}</h2>",
            f"<p>Grant id {escape(account.account_id)}, {escape(made + place)}.</p>",
            _table("Workspaces", ("When", "Workspace", "Put there by"), stays),
            _table("Policies", ("When", "See below", "Documents"), periods),
            _table("Protocols, state, passwords", ("When", "What", "By", "From", "Entry"), changes),
        ]
    )


def _raises(report: AuditReport) -> Iterator[str]:
    if report.raises:
        rows = (
            (_span(one.since, one.until), one.account_id or "the tenant", raised_text(one), one.by)
            for one in report.raises
        )
        yield "<h1>Raised limits</h1>"
        yield _table("Limits", ("When", "Whose", "Limits", "By"), rows)


def _policy(key: str, policy: PolicyThen) -> str:
    head = f"<h2>{escape(key)}: policy {escape(policy.policy)} under plan {escape(policy.plan)}</h2>"
    if policy.problem is not None:
        return f"{head}\n<p>{escape(policy.problem)}</p>"
    rules = f"<p>Rules, in their order: {escape(', '.join(policy.rules))}.</p>" if policy.rules else ""
    values = ((one.key, one.value, one.source) for one in policy.values)
    table = _table("Values", ("Key", "Value", "Set by"), values)
    return f"{head}\n<p>{escape(policy.name)}</p>\n{rules}\n{table}"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    lines = [_cells("td", row) for row in rows]
    if not lines:
        return f"<p>{escape(caption)}: none.</p>"
    return (
        f"<table><caption>{escape(caption)}</caption>\n{_cells('th', heads)}\n"
        + "\n".join(lines)
        + "</table>"
    )


def _cells(tag: str, texts: Iterable[str | None]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(text or '')}</{tag}>" for text in texts) + "</tr>"


def _span(since: float, until: float | None) -> str:
    end = spelled_time(until) if until is not None else _STILL
    return f"{spelled_time(since)} to {end}"
