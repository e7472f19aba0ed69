"""Provisioning over the API: one request or many, each done once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


def wanted(name: str = "Acme", **more: Any) -> dict[str, Any]:
    """A request for support@ of a tenant, with SMTP and a password."""
    account, protocols = {"local_part": "support"}, {"smtp": True}
    known = {"tenant": {"name": name}, "account": account, "protocols": protocols, "app_password": True}
    return known | more


def test_one_request_gives_an_identity_that_works(api: ApiWorld) -> None:
    made = api.call("POST", "/v1/provision", wanted(domain="acme.example"))
    assert made.status_code == 201
    reply = made.json()
    assert reply["status"] == "active"
    assert reply["address"].startswith("support@")
    assert reply["login"] == reply["address"]
    assert reply["app_password"]
    assert reply["domain"]["name"] == "acme.example"
    assert reply["domain"]["records"]
    assert reply["shard"]["name"]
    account = api.done("GET", f"/v1/accounts/{reply['grant_id']}")
    assert (account["smtp"], account["imap"], account["tenant_id"]) == (True, False, reply["tenant_id"])


def test_a_repeated_request_gives_the_first_result_without_the_password(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "k"}
    first = api.done("POST", "/v1/provision", wanted(), headers=headers)
    again = api.call("POST", "/v1/provision", wanted(), headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    told = again.json()
    assert (told["grant_id"], told["app_password"]) == (first["grant_id"], None)
    assert "app-password create" in told["fix"]
    assert api.refused("POST", "/v1/provision", wanted("Other"), headers=headers) == (
        409,
        "idempotency-key-used",
    )


def test_the_callers_own_id_finds_the_account_again(api: ApiWorld) -> None:
    body = wanted() | {"account": {"local_part": "support", "client_id": "u1"}}
    first = api.done("POST", "/v1/provision", body)
    again = api.done("POST", "/v1/provision", body)
    assert (again["grant_id"], again["created"], again["app_password"]) == (first["grant_id"], False, None)


@pytest.mark.parametrize("asked", [{}, {"protocols": {}}, {"protocols": None}, {"app_password": False}])
def test_nothing_is_on_that_was_not_asked_for(api: ApiWorld, asked: dict[str, Any]) -> None:
    body = {"tenant": {"name": "Acme"}, "account": {"local_part": "api"}, **asked}
    made = api.done("POST", "/v1/provision", body)
    account = api.done("GET", f"/v1/accounts/{made['grant_id']}")
    assert (account["smtp"], account["imap"], made["app_password"]) == (False, False, None)


def test_a_password_that_no_protocol_takes_is_refused_with_what_to_send(api: ApiWorld) -> None:
    reply = api.call("POST", "/v1/provision", wanted(protocols={}))
    assert (reply.status_code, reply.json()["code"]) == (422, "no-protocol-on")
    assert "protocols with smtp or imap true" in reply.json()["fix"]


def test_unknown_fields_are_told_by_their_place(api: ApiWorld) -> None:
    reply = api.call("POST", "/v1/provision", wanted(tenant={"name": "Acme", "colour": "red"}))
    assert reply.status_code == 422
    assert "tenant.colour: there is no such field" in reply.json()["detail"]


def test_a_tenants_key_provisions_for_itself_alone(api: ApiWorld) -> None:
    key = api.key(tenant=api.services.tenants.create(OPERATOR, "Acme").id)
    api.services.tenants.create(OPERATOR, "Other")
    assert api.refused("POST", "/v1/provision", wanted("Other"), key=key)[0] in (403, 404)
    own = {"account": {"local_part": "own"}}
    assert api.done("POST", "/v1/provision", own, key=key)["address"].startswith("own@")


def test_rows_stand_alone_and_are_done_once(api: ApiWorld) -> None:
    rows = [wanted("A"), wanted("B", workspace="nowhere"), wanted("C")]
    done = api.done("POST", "/v1/provision/batch", {"rows": rows})["items"]
    assert [one["status"] for one in done] == ["created", "failed", "created"]
    assert done[1]["code"] == "workspace-not-found"
    assert all(done[row]["result"]["app_password"] for row in (0, 2))
    rows[1].pop("workspace")
    again = api.done("POST", "/v1/provision/batch", {"rows": rows})["items"]
    assert [one["status"] for one in again] == ["existing", "created", "existing"]


def test_more_than_five_hundred_rows_are_too_many(api: ApiWorld) -> None:
    assert api.refused("POST", "/v1/provision/batch", {"rows": [wanted()] * 501}) == (422, "bad-request")


def test_an_address_that_waits_for_its_domain_is_promoted_with_it(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/provision", wanted(domain="acme.example"))
    waiting = api.done("GET", "/v1/domains/acme.example/waiting")["items"]
    assert [(one["grant_id"], one["address"]) for one in waiting] == [
        (made["grant_id"], "support@acme.example")
    ]
    assert api.refused("POST", "/v1/domains/acme.example/promote") == (409, "domain-not-active")
    api.services.domains.mark_verified(OPERATOR, "acme.example", "test")
    assert api.done("POST", "/v1/domains/acme.example/promote")["waiting"] == []
    assert api.done("GET", f"/v1/accounts/{made['grant_id']}")["address"] == "support@acme.example"


def test_a_trial_name_tells_nobody_which_tenants_there_are(api: ApiWorld) -> None:
    """Trial names are made of tenants' names: one that is taken is refused as one that nobody has."""
    for name in ("Acme", "Bravo"):
        api.done("POST", "/v1/provision", wanted(name))
    key = api.key(tenant=api.services.tenants.show(OPERATOR, "Acme").id)
    zone = api.services.settings.trial_zone
    assert any(one.name == f"bravo.{zone}" for one in api.services.domains.list(OPERATOR))
    body = {"account": {"local_part": "o1"}}
    told = []
    for slug in ("bravo", "nobody"):
        for path, asked in (
            ("/v1/provision", body | {"domain": f"{slug}.{zone}"}),
            ("/v1/provision", body | {"domain": f"S1.Mail.{slug}.{zone}"}),
            ("/v1/domains", {"name": f"{slug}.{zone}", "tenant": "Acme"}),
        ):
            reply = api.call("POST", path, asked, key=key)
            assert (reply.status_code, reply.json()["code"]) == (422, "platform-name"), reply.text
            told.append(reply.json()["detail"].lower().replace(slug, "it"))
    assert told[:3] == told[3:]
    own = api.done("POST", "/v1/provision", body | {"domain": f"acme.{zone}"}, key=key)
    assert own["address"] == f"o1@acme.{zone}"


def test_a_row_of_a_wrong_shape_refuses_the_call_by_its_place(api: ApiWorld) -> None:
    rows = [wanted("A"), wanted("B", environment="prod"), wanted("C", colour="red")]
    reply = api.call("POST", "/v1/provision/batch", {"rows": rows})
    assert reply.status_code == 422
    assert [one["field"] for one in reply.json()["errors"]] == ["rows.1.environment", "rows.2.colour"]
    assert [one.name for one in api.services.tenants.list(OPERATOR)] == ["platform"]


def test_a_client_id_is_the_same_with_spaces_around_it(api: ApiWorld) -> None:
    account = {"local_part": "support", "client_id": " k1 "}
    tenant = {"name": "Acme", "client_id": "\tcrm-1 "}
    first = api.done("POST", "/v1/provision", wanted(account=account, tenant=tenant))
    again = api.done("POST", "/v1/provision", wanted(account=account, tenant=tenant))
    assert (again["grant_id"], again["created"]) == (first["grant_id"], False)
    assert api.done("GET", f"/v1/accounts/{first['grant_id']}")["client_id"] == "k1"
    for blank in ("", "  "):
        account["client_id"] = blank
        assert api.refused("POST", "/v1/provision", wanted(account=account)) == (422, "bad-request")


def test_a_domain_that_another_tenant_has_proved_is_refused_by_its_name(api: ApiWorld) -> None:
    api.services.tenants.create(OPERATOR, "Holder")
    held = api.services.domains.add(OPERATOR, "held.example", tenant="Holder")
    api.services.domains.mark_verified(OPERATOR, held.id, "a test")
    body = {"tenant": {"name": "Late"}, "domain": "held.example", "account": {"local_part": "a"}}
    reply = api.call("POST", "/v1/provision", body)
    assert (reply.status_code, reply.json()["code"]) == (409, "domain-held")
    assert reply.json()["detail"].startswith("held.example belongs to another tenant")
    assert api.refused("GET", "/v1/tenants/Late")[0] == 404
