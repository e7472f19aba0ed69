"""Policies, plans and declarations over the API: documents in, what they change out, mistakes by line."""

from __future__ import annotations

import pytest

from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

SMALL = {"path": "policies/small.toml", "text": "[limits.account]\nmessages_per_day = 5\n"}
WRONG = {
    "path": "policies/wrong.toml",
    "text": "[limits.account]\nmessages_per_dya = 5\nmessages_per_hour = -1\n",
}
TENANT = {"path": "acme.toml", "text": '[[tenants]]\nname = "Acme"\nplan = "free"\n'}


def test_documents_are_planned_applied_and_kept_by_version(api: ApiWorld) -> None:
    planned = api.done("POST", "/v1/policies/plan", {"files": [SMALL]})["items"]
    assert [(one["kind"], one["name"], one["change"]) for one in planned] == [("policy", "small", "new")]
    assert api.refused("GET", "/v1/policies/small")[0] == 404
    assert api.done("POST", "/v1/policies/apply", {"files": [SMALL]})["items"] == planned
    other = {**SMALL, "text": "[limits.account]\nmessages_per_day = 6\n"}
    [changed] = api.done("POST", "/v1/policies/apply", {"files": [other]})["items"]
    assert changed["keys"] == [{"key": "limits.account.messages_per_day", "before": "5", "after": "6"}]
    assert api.done("GET", "/v1/policies/small")["document"] == other["text"]
    assert api.done("GET", "/v1/policies/small?version=1")["document"] == SMALL["text"]
    versions = api.done("GET", "/v1/policies/small/versions")["items"]
    assert [one["version"] for one in versions] == [2, 1]
    assert api.refused("GET", "/v1/policies/small?version=3")[0] == 404


def test_every_mistake_is_told_by_file_line_and_key(api: ApiWorld) -> None:
    for operation in ("plan", "apply"):
        reply = api.call("POST", f"/v1/policies/{operation}", {"files": [SMALL, WRONG]})
        assert (reply.status_code, reply.json()["code"]) == (422, "policy-invalid")
        told = {(one["file"], one["line"], one["key"]) for one in reply.json()["problems"]}
        assert told == {
            ("policies/wrong.toml", 2, "limits.account.messages_per_dya"),
            ("policies/wrong.toml", 3, "limits.account.messages_per_hour"),
        }
    assert api.refused("GET", "/v1/policies/small")[0] == 404


def test_a_repeated_application_is_answered_like_the_first(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "k"}
    first = api.done("POST", "/v1/policies/apply", {"files": [SMALL]}, headers=headers)
    again = api.call("POST", "/v1/policies/apply", {"files": [SMALL]}, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first, "true")


def test_a_policy_goes_when_nobody_uses_it(api: ApiWorld) -> None:
    api.done("POST", "/v1/policies/apply", {"files": [SMALL]})
    api.services.workspaces.create(OPERATOR, "own", policy="small")
    assert api.refused("DELETE", "/v1/policies/small")[0] == 409
    api.done("PATCH", "/v1/workspaces/own", {"policy": "default"})
    assert api.done("DELETE", "/v1/policies/small")["document"] == SMALL["text"]
    assert api.refused("GET", "/v1/policies/small")[0] == 404


def test_plans_have_versions_and_words_of_the_callers_own(api: ApiWorld) -> None:
    assert {"trial", "free", "standard"} <= {one["name"] for one in api.done("GET", "/v1/plans")["items"]}
    tag = api.call("GET", "/v1/plans/free").headers["etag"]
    updated = api.call("PATCH", "/v1/plans/free", {"client_id": "f"}, headers={"If-Match": tag})
    assert (updated.status_code, updated.json()["client_id"]) == (200, "f")
    assert api.call("GET", "/v1/plans/free").headers["etag"] == updated.headers["etag"]
    assert [one["version"] for one in api.done("GET", "/v1/plans/free/versions")["items"]] == [1]
    assert api.done("PATCH", "/v1/policies/free", {"metadata": {"a": "1"}})["metadata"] == {"a": "1"}


def test_tenants_see_the_policies_that_bind_them_and_change_none(api: ApiWorld) -> None:
    api.done("POST", "/v1/policies/apply", {"files": [SMALL]})
    acme, other = (api.services.tenants.create(OPERATOR, name).id for name in ("Acme", "Other"))
    api.services.workspaces.create(OPERATOR, "own", tenant=acme, policy="small")
    assert api.done("GET", "/v1/policies/small", key=api.key(tenant=acme))["version"] == 1
    assert api.refused("GET", "/v1/policies/small", key=api.key(tenant=other))[0] == 404
    assert api.refused("POST", "/v1/policies/apply", {"files": [SMALL]}, key=api.key(tenant=acme))[0] == 403


def test_declarations_are_planned_applied_and_exported(api: ApiWorld) -> None:
    body = {"files": [SMALL, TENANT]}
    planned = api.done("POST", "/v1/declarations/plan", body)
    assert {(one["kind"], one["name"], one["action"]) for one in planned["changes"]} >= {
        ("tenant", "Acme", "create")
    }
    assert api.refused("GET", "/v1/tenants/Acme")[0] == 404
    assert api.done("POST", "/v1/declarations/apply", body) == planned
    assert api.done("GET", "/v1/tenants/Acme")["plan"] == "free"
    assert api.done("POST", "/v1/declarations/plan", body) == {"changes": []}
    exported = api.done("GET", "/v1/declarations")["items"]
    assert "policies/small.toml" in {file["path"] for file in exported}
    assert api.done("POST", "/v1/declarations/plan", {"files": exported}) == {"changes": []}


@pytest.mark.parametrize("operation", ["plan", "apply"])
def test_a_wrong_declaration_is_told_by_file_line_and_key(api: ApiWorld, operation: str) -> None:
    wrong = {"path": "acme.toml", "text": '[[tenants]]\nname = "Acme"\nplann = "free"\n'}
    reply = api.call("POST", f"/v1/declarations/{operation}", {"files": [wrong]})
    assert (reply.status_code, reply.json()["code"]) == (422, "declarations-invalid")
    [problem] = reply.json()["problems"]
    assert (problem["file"], problem["line"]) == ("acme.toml", 3)
    assert problem["key"].endswith("plann")


def test_declarations_are_the_operators(api: ApiWorld) -> None:
    key = api.key(tenant=api.services.tenants.create(OPERATOR, "Acme").id)
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/plan", {"files": [TENANT]}),
        ("POST", "/apply", {"files": [TENANT]}),
    ):
        assert api.refused(method, f"/v1/declarations{path}", body, key=key)[0] == 403
