"""The queue, refusals, traces and the status over the API."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.accounts.view import AccountView
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


@pytest.fixture
def account(api: ApiWorld) -> AccountView:
    """An account of Acme, in a workspace of its own; Other is there too."""
    for name in ("Acme", "Other"):
        api.services.tenants.create(OPERATOR, name)
    api.services.workspaces.create(OPERATOR, "shop", tenant="Acme")
    api.services.domains.add(OPERATOR, "acme.test", tenant="Acme")
    api.services.domains.mark_verified(OPERATOR, "acme.test", "test")
    return api.services.accounts.create(OPERATOR, "app@acme.test", tenant="Acme", workspace="shop")


def states(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["recipient"]: row["state"] for row in rows}


def test_the_queue_is_listed_with_names_in_pages(api: ApiWorld, account: AccountView) -> None:
    first = api.mail(account.id, "a@example.net", "b@example.net")
    second = api.mail(account.id, "c@example.net")
    seen, cursor = [], ""
    while cursor is not None:
        page = api.done("GET", f"/v1/queue?limit=1{cursor}")
        seen += page["items"]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert [(row["id"], row["n"]) for row in seen] == [(first, 1), (first, 2), (second, 1)]
    assert {row["account"] for row in seen} == {"app@acme.test"}
    assert {row["shard"] for row in seen} == {
        shard.name for shard in api.services.shards.list(OPERATOR, tenant="Acme")
    }


@pytest.mark.parametrize(
    "query", ["recipient=C@Example.net", "account=app@acme.test&recipient=c@example.net", "tenant=Acme"]
)
def test_filters_of_the_queue(api: ApiWorld, account: AccountView, query: str) -> None:
    message = api.mail(account.id, "c@example.net")
    found = api.done("GET", f"/v1/queue?{query}")["items"]
    assert [row["id"] for row in found] == [message]
    assert api.done("GET", f"/v1/queue?{query}&state=held")["items"] == []
    assert api.done("GET", "/v1/queue?tenant=Other")["items"] == []


@pytest.mark.parametrize("query", ["state=odd", "cursor=odd", "cursor=a.b", "sort=id", "metadata.a=b"])
def test_a_wrong_question_to_the_queue_is_refused(api: ApiWorld, query: str) -> None:
    assert api.refused("GET", f"/v1/queue?{query}")[0] == 422


def test_recipients_are_held_released_retried_and_dropped(api: ApiWorld, account: AccountView) -> None:
    message = api.mail(account.id, "a@example.net", "b@example.net")
    held = api.done("POST", f"/v1/queue/{message}/hold", {"recipient": "a@example.net", "reason": "odd"})
    assert states(held["items"]) == {"a@example.net": "held"}
    assert states(api.done("GET", f"/v1/queue/{message}")["recipients"]) == {
        "a@example.net": "held",
        "b@example.net": "ready",
    }
    assert states(api.done("POST", f"/v1/queue/{message}/release")["items"]) == {"a@example.net": "ready"}
    assert api.refused("POST", f"/v1/queue/{message}/release") == (409, "wrong-state")
    assert len(api.done("POST", f"/v1/queue/{message}/drop")["items"]) == 2
    kinds = [row["kind"] for row in api.done("GET", f"/v1/trace?what={message}")["items"]]
    assert kinds == ["accepted", "held", "released", "dropped", "dropped"]


def test_support_holds_and_releases_but_drops_nothing(api: ApiWorld, account: AccountView) -> None:
    message = api.mail(account.id)
    key = api.key("support")
    assert api.call("POST", f"/v1/queue/{message}/hold", key=key).status_code == 200
    assert api.call("POST", f"/v1/queue/{message}/release", key=key).status_code == 200
    assert api.refused("POST", f"/v1/queue/{message}/drop", key=key) == (403, "right-missing")


def test_keys_see_the_mail_of_their_tenant_workspace_and_environment(
    api: ApiWorld, account: AccountView
) -> None:
    message = api.mail(account.id)
    seeing = [
        api.key(tenant="Acme"),
        api.key(workspace=account.workspace_id),
        api.key(tenant="Acme", environment="production"),
    ]
    shared = api.services.workspaces.create(OPERATOR, "elsewhere", tenant="Acme")
    blind = [
        api.key(tenant="Other"),
        api.key(workspace=shared.id),
        api.key(tenant="Acme", environment="staging"),
    ]
    for key in seeing:
        assert [row["id"] for row in api.done("GET", "/v1/queue", key=key)["items"]] == [message]
        assert [row["id"] for row in api.done("GET", "/v1/messages", key=key)["items"]] == [message]
        assert api.done("GET", f"/v1/trace?what={message}", key=key)["items"]
        assert api.done("GET", "/v1/status", key=key)["queue"]["ready"] == 1
    for key in blind:
        assert api.done("GET", "/v1/queue", key=key)["items"] == []
        assert api.done("GET", "/v1/messages", key=key)["items"] == []
        assert api.done("GET", f"/v1/trace?what={message}", key=key)["items"] == []
        assert api.done("GET", "/v1/trace?what=b@example.net", key=key)["items"] == []
        assert api.done("GET", "/v1/status", key=key)["queue"]["ready"] == 0
        for path in (f"/v1/queue/{message}", f"/v1/messages/{message}"):
            assert api.refused("GET", path, key=key) == (404, "message-not-found")
        for verb in ("hold", "retry", "release", "drop"):
            assert api.refused("POST", f"/v1/queue/{message}/{verb}", key=key)[0] == 404


def test_the_status_counts_what_the_caller_sees(api: ApiWorld, account: AccountView) -> None:
    api.mail(account.id)
    status = api.done("GET", "/v1/status")
    assert (status["accounts"], status["queue"]["ready"]) == (1, 1)
    assert api.done("GET", "/v1/status", key=api.key(tenant="Other"))["accounts"] == 0
