"""Audit, usage and events over the API."""

from __future__ import annotations

import json

import pytest

from tests.support.api import ApiWorld


def test_the_audit_tells_who_did_what(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    [entry] = api.done("GET", f"/v1/audit?tenant=Acme&operation=tenant.create&resource={acme['id']}")["items"]
    assert entry["actor_kind"] == "api"
    assert entry["after"]["name"] == "Acme"
    assert api.done("GET", f"/v1/audit/{entry['id']}") == entry
    verdicts = {one["database"]: one for one in api.done("GET", "/v1/audit/verify")["items"]}
    assert verdicts["control"]["whole"]
    assert verdicts["default"]["whole"]
    lines = [json.loads(line) for line in api.call("GET", "/v1/audit/export").text.splitlines()]
    assert entry["id"] in {one["id"] for one in lines}
    assert len(lines) == verdicts["control"]["entries"]


def test_a_tenants_key_sees_its_tenants_audit_alone(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/tenants", {"name": "Other"})
    key = api.key(tenant=acme["id"])
    found = api.done("GET", "/v1/audit", key=key)["items"]
    assert found
    assert {one["tenant_id"] for one in found} == {acme["id"]}
    assert api.refused("GET", "/v1/audit/verify", key=key) == (403, "operator-only")


def test_an_account_is_shown_as_it_was(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    made = api.done("POST", "/v1/accounts", {"address": f"a@{acme['domains'][0]}", "tenant": "Acme"})
    then = api.done("GET", f"/v1/accounts/{made['grant_id']}/then?at=2100-01-01T00:00:00Z")
    assert (then["address"], then["workspace"]) == (made["address"], "default")
    assert then["policy"]["policy"] == "default" or then["policy"]
    assert api.refused("GET", f"/v1/accounts/{made['grant_id']}/then?at=1990-01-01T00:00:00Z")[0] == 404


@pytest.mark.parametrize(
    ("form", "media"), [("json", "application/json"), ("csv", "text/csv"), ("html", "text/html")]
)
def test_the_report_comes_in_three_forms(api: ApiWorld, form: str, media: str) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme <b>"})
    api.done("POST", "/v1/accounts", {"address": f"a@{acme['domains'][0]}", "tenant": acme["id"]})
    span = "since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"
    reply = api.call("GET", f"/v1/tenants/{acme['id']}/audit-report?{span}&format={form}")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith(media)
    assert f"a@{acme['domains'][0]}" in reply.text
    assert form != "html" or "<b>" not in reply.text


def test_usage_is_refused_for_what_is_no_month(api: ApiWorld) -> None:
    assert api.done("GET", "/v1/usage?month=2026-11&by=tenant")["items"] == []
    assert api.refused("GET", "/v1/usage?month=november") == (422, "bad-month")
    assert api.refused("GET", "/v1/usage?month=2026-11&by=colour") == (422, "bad-grouping")
    assert api.call("GET", "/v1/usage?month=2026-11&format=csv").text.startswith("month,")


def test_events_go_on_where_a_page_ended(api: ApiWorld) -> None:
    start = api.done("GET", "/v1/events?start=now")
    assert start["items"] == []
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    page = api.done("GET", f"/v1/events?cursor={start['next_cursor']}&wait=5")
    [event] = [one for one in page["items"] if one["type"] == "gatepost.tenant.created"]
    assert (event["specversion"], event["tenantid"]) == ("1.0", acme["id"])
    again = api.done("GET", f"/v1/events?cursor={page['next_cursor']}")
    assert again["items"] == []


def test_a_tenants_key_hears_of_its_own_tenant(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/tenants", {"name": "Other"})
    page = api.done("GET", "/v1/events", key=api.key(tenant=acme["id"]))
    assert page["items"]
    assert {one.get("tenantid") for one in page["items"]} == {acme["id"]}


@pytest.mark.parametrize("query", ["cursor=nonsense", "types=weather", "wait=31", "limit=0"])
def test_a_wrong_question_for_events_is_refused(api: ApiWorld, query: str) -> None:
    assert api.refused("GET", f"/v1/events?{query}")[0] == 422
    assert api.refused("GET", f"/v1/events/stream?{query.replace('wait=31', 'types=x')}")[0] == 422
