"""The audit and usage over the API: lists of all databases, filters, and whose they are."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gateway.control.accounts.view import AccountView
from gateway.control.deletion.purge import Purge
from tests.integration.control.services.test_deletion import Mail
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


@pytest.fixture
def account(api: ApiWorld) -> AccountView:
    """An account of Acme; Other is there too."""
    for name in ("Acme", "Other"):
        api.services.tenants.create(OPERATOR, name)
    api.services.domains.add(OPERATOR, "acme.test", tenant="Acme")
    api.services.domains.mark_verified(OPERATOR, "acme.test", "test")
    return api.services.accounts.create(OPERATOR, "app@acme.test", tenant="Acme")


def test_changes_of_all_databases_are_listed_newest_first_in_pages(
    api: ApiWorld, account: AccountView
) -> None:
    message = api.mail(account.id)
    api.done("POST", f"/v1/queue/{message}/hold", {"reason": "odd"})
    page = api.done("GET", "/v1/audit?limit=2")
    assert [(row["operation"], row["database"]) for row in page["items"]] == [
        ("queue.hold", "default"),
        ("account.create", "control"),
    ]
    following = api.done("GET", f"/v1/audit?limit=2&cursor={page['next_cursor']}")
    assert following["items"][0]["number"] == page["items"][1]["number"] - 1


@pytest.mark.parametrize(
    "query",
    [
        "operation=account.create",
        "resource_kind=account&tenant=Acme",
        "actor=cli:tester&operation=account.create",
        "since=2027-01-01T00:00:00Z&operation=account.create",
    ],
)
def test_the_audit_is_filtered(api: ApiWorld, account: AccountView, query: str) -> None:
    (row,) = api.done("GET", f"/v1/audit?{query}")["items"]
    assert row["resource_id"] == account.id
    assert api.done("GET", f"/v1/audit?{query}&until=2026-01-01T00:00:00Z")["items"] == []
    assert api.done("GET", f"/v1/audit/{row['id']}") == row
    assert api.done("GET", f"/v1/audit/{row['number']}?database=control") == row


def test_the_export_has_a_document_a_line_and_only_the_callers_own(
    api: ApiWorld, account: AccountView
) -> None:
    reply = api.call("GET", "/v1/audit/export")
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    numbers = [json.loads(line)["number"] for line in reply.text.splitlines()]
    assert numbers == sorted(numbers)
    own = api.call("GET", "/v1/audit/export", key=api.key(tenant="Acme")).text.splitlines()
    assert {json.loads(line)["tenant_id"] for line in own} == {account.tenant_id}


def test_usage_is_counted_for_each_tenant_and_shown_to_its_own(api: ApiWorld, account: AccountView) -> None:
    api.mail(account.id, "a@example.net", "b@example.net")
    (row,) = api.done("GET", "/v1/usage?month=2027-01")["items"]
    assert (row["tenant"], row["accepted"], row["recipients"]) == ("Acme", 1, 2)
    assert row["stored_bytes"] > 0
    (summed,) = api.done("GET", "/v1/usage?month=2027-01&by=plan")["items"]
    assert (summed["tenant"], summed["plan"]) == (None, row["plan"])
    table = list(csv.DictReader(io.StringIO(api.call("GET", "/v1/usage?month=2027-01&format=csv").text)))
    assert [(one["tenant"], one["recipients"]) for one in table] == [("Acme", "2")]
    assert api.done("GET", "/v1/usage?month=2027-01", key=api.key(tenant="Other"))["items"] == []
    elsewhere = api.services.workspaces.create(OPERATOR, "elsewhere", tenant="Acme")
    assert api.done("GET", "/v1/usage?month=2027-01", key=api.key(workspace=elsewhere.id))["items"] == []


def test_the_operator_is_told_of_a_tenant_that_is_gone_and_nobody_else_is(api: ApiWorld) -> None:
    services, clock = api.services, api.services.writes.clock
    acme = services.tenants.create(OPERATOR, "acme")
    account = services.accounts.create(OPERATOR, f"joe@{acme.domains[0]}", tenant="acme")
    message = api.mail(account.id)
    services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=0)
    while acme.id in {tenant.id for tenant in services.tenants.list(OPERATOR)}:
        clock.advance(60.0)  # type: ignore[attr-defined]
        Purge(services.writes, Mail()).run(OPERATOR)
    listed = api.done("GET", f"/v1/messages?tenant={acme.id}")["items"]
    assert [one["id"] for one in listed] == [message]
    report = f"/v1/tenants/{acme.id}/audit-report?since=2000-01-01&until=2100-01-01"
    paths = (f"/v1/messages?tenant={acme.id}", f"/v1/audit?tenant={acme.id}", report)
    services.tenants.create(OPERATOR, "globex")
    other = api.key(tenant="globex")
    for path in paths:
        assert api.call("GET", path).status_code == 200, path
        assert api.call("GET", path, key=other).status_code == 404, path
        assert api.call("GET", path.replace(acme.id, acme.id[:-4] + "0000")).status_code == 404, path
