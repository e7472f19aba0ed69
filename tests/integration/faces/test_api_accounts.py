"""Accounts and app passwords over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

HELLO = "/v1/accounts/hello@acme.example"


@pytest.fixture
def acme(api: ApiWorld) -> str:
    """Acme with hello@acme.example, which may send; the tenant's id."""
    made = api.services.tenants.create(OPERATOR, "Acme")
    api.services.domains.add(OPERATOR, "acme.example", tenant="Acme")
    body = {"address": "hello@acme.example", "tenant": "Acme", "smtp": True, "metadata": {"crm": "7"}}
    api.done("POST", "/v1/accounts", body)
    return made.id


def test_an_account_is_made_found_changed(api: ApiWorld, acme: str) -> None:
    shown = api.done("GET", HELLO)
    assert shown["id"] == shown["grant_id"]
    assert (shown["tenant_id"], shown["assignment"], shown["smtp"]) == (acme, "auto", True)
    assert api.done("GET", f"/v1/accounts/{shown['grant_id']}") == shown
    for query in ("metadata.crm=7", "domain=acme.example", f"tenant={acme}&smtp=true", "sort=-address"):
        assert [one["id"] for one in api.done("GET", f"/v1/accounts?{query}")["items"]] == [shown["id"]]
    changed = api.done("PATCH", HELLO, {"display_name": "Hello", "imap": True, "smtp": False})
    assert (changed["display_name"], changed["imap"], changed["smtp"]) == ("Hello", True, False)
    assert api.done("PATCH", HELLO, {"display_name": None})["display_name"] is None


def test_wrong_input_is_told_by_field(api: ApiWorld, acme: str) -> None:
    assert api.refused("POST", "/v1/accounts", {"address": "no address", "tenant": acme})[0] == 422
    assert api.refused("POST", "/v1/accounts", {"address": "a@acme.example"}) == (422, "bad-request")
    assert api.refused("POST", "/v1/accounts", {"address": "a@other.example", "tenant": acme})[0] in (
        404,
        409,
        422,
    )
    taken = {"address": "HELLO@acme.example", "tenant": acme}
    assert api.refused("POST", "/v1/accounts", taken)[0] == 409
    assert api.refused("PATCH", HELLO, {"smtp": None}) == (422, "bad-request")


def test_suspending_says_why_and_resuming_forgets_it(api: ApiWorld, acme: str) -> None:
    suspended = api.done("POST", f"{HELLO}/suspend", {"reason": "spam"})
    assert (suspended["status"], suspended["status_reason"]) == ("suspended", "spam")
    assert api.done("POST", f"{HELLO}/resume")["status"] == "active"
    assert api.done("POST", f"{HELLO}/suspend")["status_reason"] is None


def test_aliases_come_and_go(api: ApiWorld, acme: str) -> None:
    added = api.call("POST", f"{HELLO}/aliases", {"address": "hi@acme.example"})
    assert (added.status_code, added.json()["aliases"]) == (201, ["hi@acme.example"])
    assert api.done("GET", "/v1/accounts/hi@acme.example")["address"] == "hello@acme.example"
    assert api.done("DELETE", f"{HELLO}/aliases/hi@acme.example")["aliases"] == []
    assert api.refused("DELETE", f"{HELLO}/aliases/hi@acme.example") == (404, "alias-not-found")


def test_accounts_move_together_or_not_at_all(api: ApiWorld, acme: str) -> None:
    api.done("POST", "/v1/accounts", {"address": "two@acme.example", "tenant": "Acme"})
    api.done("POST", "/v1/workspaces", {"name": "own", "tenant": acme, "policy": "free"})
    both = ["hello@acme.example", "two@acme.example"]
    seen = api.done("POST", "/v1/accounts/move", {"accounts": both, "workspace": "own", "dry_run": True})
    assert [move["to_workspace"] for move in seen["moves"]] == ["own", "own"]
    wrong = {"accounts": [*both, "none@acme.example"], "workspace": "own"}
    assert api.refused("POST", "/v1/accounts/move", wrong)[0] == 404
    assert api.done("GET", f"/v1/accounts?workspace=own&tenant={acme}")["items"] == []
    api.done("POST", "/v1/accounts/move", {"accounts": both, "workspace": "own"})
    assert len(api.done("GET", "/v1/accounts?workspace=own")["items"]) == 2
    assert api.refused("POST", "/v1/accounts/move", {"accounts": both}) == (422, "no-destination")
    assert api.refused("POST", "/v1/accounts/move", {"accounts": both * 251, "workspace": "own"})[0] == 422


def test_an_account_is_deleted_with_grace_and_restored(api: ApiWorld, acme: str) -> None:
    gone = api.done("DELETE", f"{HELLO}?grace_seconds=60&reason=left")
    assert (gone["status"], gone["status_reason"]) == ("deleting", "left")
    assert api.done("POST", f"{HELLO}/restore")["status"] == "active"
    assert api.refused("POST", f"{HELLO}/restore")[0] == 409
    assert api.refused("DELETE", f"{HELLO}?grace_seconds=-1")[0] == 422


def test_a_key_of_one_tenant_makes_accounts_of_no_other(api: ApiWorld, acme: str) -> None:
    api.services.tenants.create(OPERATOR, "Other")
    body = {"address": "b@acme.example", "tenant": "Acme"}
    assert api.refused("POST", "/v1/accounts", body, key=api.key(tenant="Other"))[0] == 404


def test_an_account_without_sign_ins_has_an_empty_list_of_them(api: ApiWorld, acme: str) -> None:
    assert api.done("GET", f"{HELLO}/logins") == {"items": [], "next_cursor": None}


def made(api: ApiWorld, **fields: Any) -> Any:
    """A fresh app password of hello@acme.example."""
    return api.done("POST", "/v1/app-passwords", {"account": "hello@acme.example", **fields})


def test_an_app_password_is_in_no_reply_but_the_first(api: ApiWorld, acme: str) -> None:
    new = made(api, label="laptop", networks=["192.0.2.0/24"], expires_at="2040-01-01T00:00:00Z")
    secret = new["app_password"]
    assert new["id"] == new["key_id"]
    assert new["expires_at"] == "2040-01-01T00:00:00Z"
    replies = [
        api.call("GET", f"/v1/app-passwords/{new['id']}"),
        api.call("GET", f"/v1/app-passwords/{new['credential_id']}"),
        api.call("GET", "/v1/app-passwords?account=hello@acme.example"),
        api.call("PATCH", f"/v1/app-passwords/{new['id']}", {"label": "desktop"}),
        api.call("DELETE", f"/v1/app-passwords/{new['id']}"),
    ]
    for reply in replies:
        assert reply.status_code == 200
        assert secret not in reply.text
    assert replies[0].json()["last_used_at"] is None
    assert replies[4].json()["revoked_at"] is not None


def test_a_repeated_request_makes_no_second_password_and_says_what_to_do(api: ApiWorld, acme: str) -> None:
    body = {"account": "hello@acme.example", "label": "laptop"}
    headers = {"Idempotency-Key": "k"}
    first = api.done("POST", "/v1/app-passwords", body, headers=headers)
    again = api.call("POST", "/v1/app-passwords", body, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    told = again.json()
    assert told["app_password"] is None
    assert f"app-password replace {first['id']}" in told["fix"]
    unchanged = set(first) - {"app_password", "fix"}
    assert {name: told[name] for name in unchanged} == {name: first[name] for name in unchanged}
    assert len(api.done("GET", "/v1/app-passwords?account=hello@acme.example")["items"]) == 1


def test_a_replaced_password_ends_and_the_new_one_has_its_terms(api: ApiWorld, acme: str) -> None:
    old = made(api, label="laptop", stream="agent")
    new = api.done("POST", f"/v1/app-passwords/{old['id']}/replace")
    assert (new["label"], new["stream"]) == ("laptop", "agent")
    assert new["app_password"] not in (None, old["app_password"])
    live = api.done("GET", "/v1/app-passwords?account=hello@acme.example&revoked=false")["items"]
    assert [one["id"] for one in live] == [new["id"]]
    assert api.refused("POST", f"/v1/app-passwords/{old['id']}/replace") == (409, "app-password-revoked")


def test_the_etag_of_a_password_is_not_that_of_its_use(api: ApiWorld, acme: str) -> None:
    new = made(api)
    tag = api.call("GET", f"/v1/app-passwords/{new['id']}").headers["etag"]
    headers = {"If-Match": tag}
    first = api.call("PATCH", f"/v1/app-passwords/{new['id']}", {"label": "a"}, headers=headers)
    assert first.status_code == 200
    second = api.refused("PATCH", f"/v1/app-passwords/{new['id']}", {"label": "b"}, headers=headers)
    assert second == (412, "changed-meanwhile")
