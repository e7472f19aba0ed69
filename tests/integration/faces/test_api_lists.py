"""Lists and raised limits over the API."""

from __future__ import annotations

import pytest

from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


@pytest.fixture
def acme(api: ApiWorld) -> str:
    """Acme, with eve@acme.example under the policy `free`; its id."""
    made = api.services.tenants.create(OPERATOR, "Acme")
    api.services.workspaces.create(OPERATOR, "free", policy="free")
    api.services.domains.add(OPERATOR, "acme.example", tenant="Acme")
    api.services.accounts.create(OPERATOR, "eve@acme.example", tenant="Acme", workspace="free")
    return made.id


def test_a_list_is_filled_a_thousand_at_a_time(api: ApiWorld) -> None:
    api.done("POST", "/v1/lists", {"name": "bad", "kind": "domain", "items": ["x.example"]})
    thousand = [f"d{number}.example" for number in range(1_000)]
    assert api.done("POST", "/v1/lists/bad/items", {"items": thousand})["items"] == 1_001
    assert api.refused("POST", "/v1/lists/bad/items", {"items": [*thousand, "y.example"]})[0] == 422
    assert api.refused("POST", "/v1/lists/bad/items", {"items": ["not a domain"]})[0] == 422
    assert api.done("POST", "/v1/lists/bad/items/remove", {"items": thousand[:10]})["items"] == 991
    assert api.done("PUT", "/v1/lists/bad/items", {"items": ["b.example", "a.example"]})["items"] == 2
    page = api.done("GET", "/v1/lists/bad/items?limit=1")
    assert [one["value"] for one in page["items"]] == ["a.example"]
    rest = api.done("GET", f"/v1/lists/bad/items?limit=1&cursor={page['next_cursor']}")
    assert ([one["value"] for one in rest["items"]], rest["next_cursor"]) == (["b.example"], None)


def test_a_list_is_renamed_and_deleted(api: ApiWorld) -> None:
    api.done("POST", "/v1/lists", {"name": "bad", "kind": "tld", "description": "old"})
    renamed = api.done("PATCH", "/v1/lists/bad", {"name": "worse", "description": None})
    assert (renamed["name"], renamed["description"]) == ("worse", None)
    assert api.done("DELETE", "/v1/lists/worse")["name"] == "worse"
    assert api.refused("GET", "/v1/lists/worse")[0] == 404


def test_of_two_changes_of_items_the_stale_one_is_refused(api: ApiWorld) -> None:
    api.done("POST", "/v1/lists", {"name": "bad", "kind": "domain"})
    headers = {"If-Match": api.call("GET", "/v1/lists/bad").headers["etag"]}
    assert (
        api.call("POST", "/v1/lists/bad/items", {"items": ["a.example"]}, headers=headers).status_code == 200
    )
    again = api.refused("POST", "/v1/lists/bad/items", {"items": ["b.example"]}, headers=headers)
    assert again == (412, "changed-meanwhile")


def test_shared_lists_are_read_by_tenants_and_changed_by_the_operator(api: ApiWorld, acme: str) -> None:
    api.done("POST", "/v1/lists", {"name": "all", "kind": "domain"})
    key = api.key(tenant=acme)
    assert api.done("GET", "/v1/lists/all", key=key)["tenant_id"] is None
    assert api.refused("POST", "/v1/lists/all/items", {"items": ["a.example"]}, key=key)[0] == 403
    own = api.done("POST", "/v1/lists", {"name": "own", "kind": "domain", "tenant": acme}, key=key)
    assert own["tenant_id"] == acme


def test_a_limit_is_raised_shown_and_revoked(api: ApiWorld, acme: str) -> None:
    until = "2040-01-01T00:00:00Z"
    body = {"target": "eve@acme.example", "limits": {"daily": 500}, "until": until, "reason": "launch"}
    made = api.done("POST", "/v1/limits", body)
    assert (made["limits"], made["until"], made["state"]) == ({"messages_per_day": 500}, until, "active")
    assert api.done("GET", "/v1/limits?state=active&account=eve@acme.example")["items"] == [made]
    assert api.done("PATCH", f"/v1/limits/{made['id']}", {"client_id": "l"})["client_id"] == "l"
    assert api.done("DELETE", f"/v1/limits/{made['id']}")["state"] == "revoked"
    assert api.done("GET", f"/v1/limits?tenant={acme}&state=active")["items"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": {"weekly": 5}},
        {"limits": {}},
        {"limits": {"daily": "many"}},
        {"limits": {"daily": 100}},
        {"until": "2001-01-01T00:00:00Z"},
        {"until": "soon"},
        {"reason": ""},
        {"target": "nobody@acme.example"},
    ],
)
def test_a_wrong_raise_is_refused(api: ApiWorld, acme: str, wrong: dict[str, object]) -> None:
    right = {
        "target": "eve@acme.example",
        "limits": {"daily": 500},
        "until": "2040-01-01T00:00:00Z",
        "reason": "x",
    }
    assert api.refused("POST", "/v1/limits", {**right, **wrong})[0] in (404, 409, 422)


def test_tenants_see_their_raises_and_make_none(api: ApiWorld, acme: str) -> None:
    body = {"target": acme, "limits": {"daily": 500}, "until": "2040-01-01T00:00:00Z", "reason": "x"}
    assert api.refused("POST", "/v1/limits", body, key=api.key(tenant=acme)) == (403, "operator-only")
