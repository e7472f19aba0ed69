"""Looking back over real databases: what was in force then, and the report of a tenant's accounts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.control.accounts.model import AccountAddressRow, AccountRow
from gateway.control.audit.formats import report_csv, report_json
from gateway.control.audit.history import AccountThen, AuditHistory
from gateway.control.audit.model import AuditPayloadRow
from gateway.control.audit.page import report_html
from gateway.control.audit.report import AuditReport
from gateway.control.credentials.model import CredentialRow
from gateway.control.errors import Forbidden, Invalid, NotFound
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited

HOUR = 3600.0
Apply = Callable[[str, int], None]


@pytest.fixture
def apply(control_services: ControlServices, tmp_path: Path) -> Apply:
    """`apply(policy, messages a day)` puts the policy in force."""

    def put(name: str, daily: int) -> None:
        file = tmp_path / f"{name}.toml"
        file.write_text(f'extends = "default"\n[limits.account]\nmessages_per_day = {daily}\n')
        control_services.policies.apply(OPERATOR, file)

    return put


def _later(services: ControlServices, seconds: float = HOUR) -> float:
    """Let time go by; a moment in the middle of it."""
    middle = services.writes.clock.now() + seconds / 2
    services.writes.clock.advance(seconds)  # type: ignore[attr-defined]
    return middle


@pytest.fixture
def life(control_services: ControlServices, apply: Apply) -> dict[str, float]:
    """An account's life, an hour between any two changes; a moment after each of them."""
    services, moments = control_services, {}
    apply("strict", 10)
    tenant = services.tenants.create(OPERATOR, "acme")
    services.workspaces.create(OPERATOR, "one", tenant="acme", policy="strict")
    services.workspaces.create(OPERATOR, "two", tenant="acme")
    address = f"joe@{tenant.domains[0]}"
    moments["before"] = _later(services)
    services.accounts.create(OPERATOR, address, tenant="acme", workspace="one", smtp=True)
    moments["made"] = _later(services)
    apply("strict", 20)
    moments["policy"] = _later(services)
    services.accounts.update(OPERATOR, address, workspace="two", imap=True)
    moments["moved"] = _later(services)
    services.workspaces.update(OPERATOR, "two", policy="strict")
    moments["workspace"] = _later(services)
    services.accounts.suspend(OPERATOR, address)
    moments["suspended"] = _later(services)
    record, _ = services.credentials.create(OPERATOR, address, label="phone")
    services.credentials.revoke(OPERATOR, record.id)
    moments["passwords"] = _later(services)
    return moments


def _address(services: ControlServices) -> str:
    return services.accounts.list(OPERATOR, tenant="acme")[0].address


def _then(services: ControlServices, at: float) -> AccountThen:
    return AuditHistory(services.writes).account_at(OPERATOR, _address(services), at)


def _daily(then: AccountThen) -> tuple[str, str]:
    assert then.policy is not None
    key = "limits.account.messages_per_day"
    return next((value.value, value.source) for value in then.policy.values if value.key == key)


def _report(services: ControlServices, since: float = 0.0, until: float = 9e9) -> AuditReport:
    return AuditHistory(services.writes).report(OPERATOR, "acme", since, until)


def test_an_account_is_shown_as_it_was(control_services: ControlServices, life: dict[str, float]) -> None:
    def seen(moment: str) -> tuple[str, bool, bool, str, str, int | None]:
        then = _then(control_services, life[moment])
        assert then.policy is not None
        return (then.workspace, then.smtp, then.imap, then.status, _daily(then)[0], then.policy.version)

    assert seen("made") == ("one", True, False, "active", "10", 1)
    assert seen("policy") == ("one", True, False, "active", "20", 2)
    assert seen("moved") == ("two", True, True, "active", "unlimited", 1)
    assert seen("workspace") == ("two", True, True, "active", "20", 2)
    assert seen("suspended") == ("two", True, True, "suspended", "20", 2)
    assert _daily(_then(control_services, life["made"]))[1] == "policy strict"


def test_before_it_was_made_there_was_none(control_services: ControlServices, life: dict[str, float]) -> None:
    with pytest.raises(NotFound) as caught:
        _then(control_services, life["before"])
    assert caught.value.code == "account-not-then"


def test_a_tenants_plan_of_then_bound_then(control_services: ControlServices, life: dict[str, float]) -> None:
    control_services.workspaces.update(OPERATOR, "two", policy="default")
    control_services.workspaces.update(OPERATOR, "one", policy="default")
    control_services.tenants.update(OPERATOR, "acme", plan="free")
    now = control_services.writes.clock.now()
    assert _then(control_services, now).plan == "free"
    assert _then(control_services, life["made"]).plan == "standard"
    assert _daily(_then(control_services, now))[1] == "plan free"


def test_others_are_not_there_for_a_tenant(control_services: ControlServices, life: dict[str, float]) -> None:
    history = AuditHistory(control_services.writes)
    acme = control_services.tenants.show(OPERATOR, "acme")
    globex = control_services.tenants.create(OPERATOR, "globex")
    address = _address(control_services)
    assert history.account_at(limited(acme.id), address, life["made"]).workspace == "one"
    with pytest.raises(NotFound):
        history.account_at(limited(globex.id), address, life["made"])
    with pytest.raises(NotFound):
        history.report(limited(globex.id), "acme", 0, 9e9)
    with pytest.raises(Forbidden):
        history.report(Actor("api", "k", tenant_id=acme.id, environment="staging"), "acme", 0, 9e9)


def test_an_account_that_is_gone_is_still_known_by_its_id(
    control_services: ControlServices, life: dict[str, float]
) -> None:
    account = control_services.accounts.list(OPERATOR, tenant="acme")[0]
    with control_services.writes.change(OPERATOR) as change:
        for table, column in (
            (CredentialRow, CredentialRow.account_id),
            (AccountAddressRow, AccountAddressRow.account_id),
            (AccountRow, AccountRow.id),
        ):
            change.session.execute(sa.delete(table).where(column == account.id))
        change.audit(
            "account.erase",
            "account",
            account.id,
            tenant_id=account.tenant_id,
            before={"address": account.address},
            after=None,
        )
    gone = _later(control_services)
    history = AuditHistory(control_services.writes)
    then = history.account_at(OPERATOR, account.id, life["moved"])
    assert (then.address, then.workspace) == (account.address, "two")
    with pytest.raises(NotFound):
        history.account_at(OPERATOR, account.id, gone)
    assert [one.account_id for one in _report(control_services).accounts] == [account.id]
    assert history.report(OPERATOR, "acme", gone, gone + HOUR).accounts == ()


def test_the_report_tells_the_whole_life(control_services: ControlServices, life: dict[str, float]) -> None:
    report = _report(control_services)
    (account,) = report.accounts
    assert (account.created_by, account.created_from) == ("cli:tester", "127.0.0.1")
    assert life["before"] < account.created_at < life["made"]
    assert [(stay.workspace, stay.by, stay.until is None) for stay in account.stays] == [
        ("one", "cli:tester", False),
        ("two", "cli:tester", True),
    ]
    assert account.stays[0].until == account.stays[1].since
    daily = [
        next(
            v.value
            for v in report.policies[period.policy].values
            if v.key.endswith("account.messages_per_day")
        )
        for period in account.policies
    ]
    assert daily == ["10", "20", "unlimited", "20"]
    for one, following in zip(account.policies, account.policies[1:], strict=False):
        assert one.until == following.since
    assert account.policies[-1].until is None
    record = control_services.audit.list(OPERATOR, operation="app-password.create")[0]
    assert [change.what for change in account.changes] == [
        "smtp switched on",
        "imap switched on",
        "status suspended",
        f'app password made "phone" (imap, smtp), id {record.resource_id}',
        f'app password revoked "phone" (imap, smtp), id {record.resource_id}',
    ]
    assert {change.by for change in account.changes} == {"cli:tester"}


def test_a_report_of_a_span_has_what_was_in_it_alone(
    control_services: ControlServices, life: dict[str, float]
) -> None:
    (account,) = _report(control_services, life["policy"], life["moved"]).accounts
    assert [(stay.workspace, stay.until is None) for stay in account.stays] == [("one", False), ("two", True)]
    assert account.stays[0].since == life["policy"]
    assert [change.what for change in account.changes] == ["imap switched on"]
    assert _report(control_services, 0, life["before"]).accounts == ()
    with pytest.raises(Invalid):
        _report(control_services, 5.0, 5.0)


def test_the_report_in_its_three_forms(control_services: ControlServices, life: dict[str, float]) -> None:
    address = _address(control_services)
    control_services.workspaces.update(OPERATOR, "two", name="=SUM(1) <script>")
    control_services.accounts.update(OPERATOR, address, workspace="one")
    control_services.credentials.create(OPERATOR, address, label="<b>=1+1</b>")
    control_services.accounts.update(OPERATOR, address, workspace="=SUM(1) <script>")
    _later(control_services)
    report = _report(control_services)

    parsed = json.loads(report_json(report))
    assert parsed["accounts"][0]["address"] == address
    assert len(parsed["policies"]) == len(report.policies)

    lines = report_csv(report).splitlines()
    assert lines[0] == "account_id,address,what,since,until,by,from,detail"
    assert [line.split(",")[2] for line in lines[1:4]] == ["created", "workspace", "workspace"]
    assert any("limits.account.messages_per_day = 10 (policy strict)" in line for line in lines)
    assert all(not cell.startswith("=") for line in lines for cell in line.replace('"', "").split(","))

    page = report_html(report)
    assert page.startswith("<!doctype html>")
    assert address in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "http" not in page
    assert "<caption></caption>" not in page
    assert " to the end of the report" in page
    assert "to to" not in page


def test_what_was_lawfully_erased_is_not_told(
    control_services: ControlServices, life: dict[str, float]
) -> None:
    with control_services.writes.change(OPERATOR) as change:
        change.session.execute(sa.delete(AuditPayloadRow))
    with pytest.raises(NotFound):
        _then(control_services, life["made"])
    then = _then(control_services, life["suspended"])
    assert (then.workspace, then.status) == ("two", "suspended")
    (account,) = _report(control_services).accounts
    assert account.created_by == "cli:tester"
    assert account.changes == ()
