"""Usage as a table."""

from __future__ import annotations

import pytest

from gateway.control.errors import Invalid
from gateway.outgoing.intake.steps import STEPS
from gateway.outgoing.queue.values import CHARGED_ORIGINS
from gateway.outgoing.usage.report import UsageRow, grouped, parse_dimensions, parse_month, usage_csv


def row(tenant: str, workspace: str, plan: str = "free", accepted: int = 1) -> UsageRow:
    return UsageRow("2026-11", f"id-{tenant}", tenant, f"id-{workspace}", workspace, plan, accepted, 2, 3, 4)


ROWS = (row("b", "x"), row("a", "y", "paid", 5), row("a", "x", "paid"))


def test_rows_are_sorted_by_names() -> None:
    got = [(one.tenant, one.workspace) for one in grouped(ROWS, parse_dimensions([]))]
    assert got == [("a", "x"), ("a", "y"), ("b", "x")]


def test_what_is_not_asked_for_is_added_up() -> None:
    by_tenant = grouped(ROWS, parse_dimensions(["tenant"]))
    assert [(one.tenant, one.workspace, one.plan, one.accepted) for one in by_tenant] == [
        ("a", None, None, 6),
        ("b", None, None, 1),
    ]
    by_plan = grouped(ROWS, parse_dimensions(["plan"]))
    assert [(one.plan, one.tenant_id, one.stored_bytes) for one in by_plan] == [
        ("free", None, 4),
        ("paid", None, 8),
    ]


def test_a_name_that_looks_like_a_formula_is_not_one_in_a_spreadsheet() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", 'quo"te, and comma']
    lines = usage_csv([row(name, "w") for name in names]).split("\r\n")
    assert lines[0].startswith("month,tenant_id,tenant,workspace_id,workspace,plan,accepted")
    assert [line.split(",")[2] for line in lines[1:6]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx"]
    assert '"quo""te, and comma"' in lines[6]


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-1", "november", "2026-11-01", "２０２６-11"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no month"):
        parse_month(text)


def test_an_unknown_dimension_is_refused() -> None:
    with pytest.raises(Invalid, match="not counted by 'shard'"):
        parse_dimensions(["tenant", "shard"])


def test_what_counts_as_use_is_what_quotas_charge() -> None:
    assert {origin.value for origin, steps in STEPS.items() if steps.quota} == CHARGED_ORIGINS
