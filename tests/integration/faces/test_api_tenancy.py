"""Tenants and workspaces over the API: their life, moves, patterns, and what a patch takes away."""

from __future__ import annotations

import json

import pytest

from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


@pytest.fixture
def acme(api: ApiWorld) -> str:
    """Acme with the account hello@acme.example; its id."""
    made = api.services.tenants.create(OPERATOR, "Acme")
    api.services.domains.add(OPERATOR, "acme.example", tenant="Acme")
    api.services.accounts.create(OPERATOR, "hello@acme.example", tenant="Acme", smtp=True)
    return made.id


def test_null_takes_away_and_pairs_are_merged(api: ApiWorld) -> None:
    body = {"name": "Acme", "contacts": ["a@x.example"], "client_id": "7", "metadata": {"a": "1", "b": "2"}}
    api.done("POST", "/v1/tenants", body)
    merged = api.done("PATCH", "/v1/tenants/Acme", {"metadata": {"a": None, "c": "3"}, "notices": False})
    assert (merged["metadata"], merged["notices"]) == ({"b": "2", "c": "3"}, False)
    cleared = api.done("PATCH", "/v1/tenants/Acme", {"metadata": None, "client_id": None, "contacts": None})
    assert (cleared["metadata"], cleared["client_id"], cleared["contacts"]) == ({}, None, [])
    assert api.refused("PATCH", "/v1/tenants/Acme", {"name": None}) == (422, "bad-request")


def test_a_tenant_is_deleted_with_grace_restored_and_exported(api: ApiWorld, acme: str) -> None:
    gone = api.done("DELETE", "/v1/tenants/Acme?grace_seconds=3600&reason=unpaid")
    assert (gone["status"], gone["status_reason"]) == ("deleting", "unpaid")
    assert gone["purge_at"] is not None
    assert api.refused("DELETE", "/v1/tenants/Acme") == (409, "tenant-deleting")
    assert api.done("POST", "/v1/tenants/Acme/restore")["status"] == "active"
    reply = api.call("GET", "/v1/tenants/Acme/export")
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert {"tenant", "account", "domain"} <= {line["resource"] for line in lines}
    assert acme in reply.text


def test_only_the_operator_deletes_a_tenant(api: ApiWorld, acme: str) -> None:
    assert api.refused("DELETE", f"/v1/tenants/{acme}", key=api.key(tenant=acme)) == (403, "operator-only")


def test_a_smaller_plan_is_looked_at_before_it_is_taken(api: ApiWorld, acme: str) -> None:
    api.services.workspaces.create(OPERATOR, "big", tenant=acme, policy="bulk")
    seen = api.done("GET", "/v1/tenants/Acme/plan-preview?plan=trial")
    assert (seen["from_plan"], seen["to_plan"]) == ("standard", "trial")
    assert {misfit["name"] for misfit in seen["no_longer_fits"]} == {"big"}
    assert api.done("GET", "/v1/tenants/Acme")["plan"] == "standard"
    assert api.refused("GET", "/v1/tenants/Acme/plan-preview?plan=none")[0] == 404
    assert api.refused("GET", "/v1/tenants/Acme/plan-preview")[0] == 422


def test_all_accounts_of_a_tenant_move_after_a_look(api: ApiWorld, acme: str) -> None:
    api.services.workspaces.create(OPERATOR, "own", tenant=acme, policy="free")
    seen = api.done("POST", "/v1/tenants/Acme/move", {"workspace": "own", "dry_run": True})
    assert seen["dry_run"] is True
    assert any(change["key"].startswith("limits.") for change in seen["moves"][0]["changes"])
    assert api.done("GET", "/v1/accounts/hello@acme.example")["workspace"] != "own"
    api.done("POST", "/v1/tenants/Acme/move", {"workspace": "own"})
    moved = api.done("GET", "/v1/accounts/hello@acme.example")
    assert (moved["workspace"], moved["assignment"]) == ("own", "explicit")


def test_patterns_are_looked_at_and_then_move_only_auto_accounts(api: ApiWorld, acme: str) -> None:
    own = api.done("POST", "/v1/workspaces", {"name": "own", "tenant": acme, "client_id": "w"})
    preview = api.done("POST", "/v1/workspaces/own/preview", {"patterns": ["acme.example"]})
    assert [one["address"] for one in preview["items"]] == ["hello@acme.example"]
    assert api.done("GET", "/v1/accounts/hello@acme.example")["workspace_id"] != own["id"]
    updated = api.done("PATCH", "/v1/workspaces/own", {"patterns": ["acme.example"], "policy": "free"})
    assert (updated["patterns"], updated["policy"]) == (["acme.example"], "free")
    assert api.done("GET", "/v1/accounts/hello@acme.example")["workspace_id"] == own["id"]
    assert api.done("PATCH", "/v1/workspaces/own", {"patterns": None})["patterns"] == []
    found = api.done("GET", f"/v1/workspaces?tenant={acme}&client_id=w")["items"]
    assert [one["name"] for one in found] == ["own"]


def test_a_workspace_goes_when_it_is_empty(api: ApiWorld, acme: str) -> None:
    api.done("POST", "/v1/workspaces", {"name": "own", "tenant": acme})
    api.done("POST", "/v1/tenants/Acme/move", {"workspace": "own"})
    assert api.refused("DELETE", "/v1/workspaces/own")[0] == 409
    api.services.accounts.update(OPERATOR, "hello@acme.example", auto=True)
    assert api.done("DELETE", "/v1/workspaces/own")["name"] == "own"
    assert api.refused("GET", "/v1/workspaces/own")[0] == 404


def test_of_two_deletions_on_the_same_knowledge_the_stale_one_is_refused(api: ApiWorld, acme: str) -> None:
    api.done("POST", "/v1/workspaces", {"name": "own", "tenant": acme})
    tag = api.call("GET", "/v1/workspaces/own").headers["etag"]
    api.done("PATCH", "/v1/workspaces/own", {"policy": "free"})
    assert api.refused("DELETE", "/v1/workspaces/own", headers={"If-Match": tag}) == (
        412,
        "changed-meanwhile",
    )


def test_shared_workspaces_are_the_operators(api: ApiWorld, acme: str) -> None:
    key = api.key(tenant=acme)
    assert api.refused("POST", "/v1/workspaces", {"name": "all"}, key=key)[0] == 403
    assert api.done("POST", "/v1/workspaces", {"name": "own", "tenant": acme}, key=key)["tenant_id"] == acme
