"""What all operations have in common: keys, problems, ETags, idempotency, pages, unknown fields."""

from __future__ import annotations

import pytest

from gateway.faces.api.facts import MIB
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR


def test_without_a_key_nothing_but_the_description_is_served(api: ApiWorld) -> None:
    assert api.send("GET", "/openapi.json").status_code == 200
    reply = api.send("GET", "/v1/tenants")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("key", ["", "gpk_", "gp_0000000", "Bearer x", "gpk_" + "0" * 35])
def test_a_wrong_key_is_refused_whatever_is_wrong_with_it(api: ApiWorld, key: str) -> None:
    reply = api.send("GET", "/v1/tenants", headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 401


def test_a_revoked_key_is_worthless_at_once(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/api-keys", {"name": "ci", "rights": ["read"]})
    assert api.call("GET", "/v1/tenants", key=made["key"]).status_code == 200
    api.done("DELETE", f"/v1/api-keys/{made['key_id']}")
    assert api.call("GET", "/v1/tenants", key=made["key"]).status_code == 401


def test_a_key_never_makes_a_wider_one(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/tenants", {"name": "Other"})
    narrow = api.key("read", "write", tenant=acme["id"], environment="staging")
    wider = [
        {"name": "x", "rights": ["send"]},
        {"name": "x", "environment": "production"},
    ]
    for body in wider:
        assert api.refused("POST", "/v1/api-keys", body, key=narrow) == (403, "wider-than-caller")
    assert api.refused("POST", "/v1/api-keys", {"name": "x", "tenant": "Other"}, key=narrow)[0] == 404
    made = api.done("POST", "/v1/api-keys", {"name": "x"}, key=narrow)
    assert (made["tenant_id"], made["environment"]) == (acme["id"], "staging")


def test_a_key_makes_none_that_is_used_elsewhere_or_later(api: ApiWorld) -> None:
    soon, later = "2099-01-01T00:00:00Z", "2099-01-01T00:00:01Z"
    limits = {"networks": ["127.0.0.0/24", "2001:db8::/32"], "expires_at": soon}
    maker = api.done("POST", "/v1/api-keys", {"name": "maker", "rights": ["read", "write"], **limits})["key"]
    child = {"name": "child", "rights": ["read"]}
    for wider in (
        {"networks": ["127.0.0.0/16"]},
        {"networks": ["127.0.0.7/32", "::/0"]},
        {"expires_at": later},
    ):
        refused = api.refused("POST", "/v1/api-keys", child | wider, key=maker)
        assert refused == (403, "wider-than-caller")
    made = api.done("POST", "/v1/api-keys", child, key=maker)
    assert (made["networks"], made["expires_at"]) == (limits["networks"], soon)
    inside = child | {"networks": ["127.0.0.7/32", "2001:db8:1::/48"], "expires_at": "2098-01-01T00:00:00Z"}
    made = api.done("POST", "/v1/api-keys", inside, key=maker)
    assert (made["networks"], made["expires_at"]) == (inside["networks"], inside["expires_at"])


def test_a_key_without_the_right_is_told_which_it_needs(api: ApiWorld) -> None:
    reply = api.call("POST", "/v1/tenants", {"name": "Acme"}, key=api.key("read"))
    assert reply.status_code == 403
    assert "write" in reply.json()["detail"]


def test_a_network_that_a_key_is_not_for_gets_nothing(api: ApiWorld) -> None:
    key = api.key("read", networks=["192.0.2.0/24"])
    assert api.call("GET", "/v1/tenants", key=key).status_code == 401


def test_unknown_fields_and_parameters_are_refused_by_name(api: ApiWorld) -> None:
    reply = api.call("POST", "/v1/tenants", {"name": "Acme", "colour": "red"})
    assert reply.status_code == 422
    assert "colour: there is no such field" in reply.json()["detail"]
    reply = api.call("GET", "/v1/tenants?colour=red")
    assert reply.status_code == 422
    assert "colour" in reply.json()["detail"]


def test_of_two_clients_that_read_the_same_the_second_to_write_is_refused(api: ApiWorld) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    tag = api.call("GET", "/v1/tenants/Acme").headers["etag"]
    first = api.call("PATCH", "/v1/tenants/Acme", {"plan": "free"}, headers={"If-Match": tag})
    assert first.status_code == 200
    second = api.call("PATCH", "/v1/tenants/Acme", {"plan": "trial"}, headers={"If-Match": tag})
    assert (second.status_code, second.json()["code"]) == (412, "changed-meanwhile")
    assert api.done("GET", "/v1/tenants/Acme")["plan"] == "free"
    third = api.call(
        "PATCH", "/v1/tenants/Acme", {"plan": "trial"}, headers={"If-Match": first.headers["etag"]}
    )
    assert third.status_code == 200


def test_the_same_idempotency_key_gives_the_first_result(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    first = api.call("POST", "/v1/tenants", {"name": "Acme"}, headers=headers)
    again = api.call("POST", "/v1/tenants", {"name": "Acme"}, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert api.refused("POST", "/v1/tenants", {"name": "Other"}, headers=headers) == (
        409,
        "idempotency-key-used",
    )
    assert len(api.services.audit.list(OPERATOR, operation="tenant.create")) == 1


def test_an_idempotency_key_is_its_callers_own(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    api.done("POST", "/v1/tenants", {"name": "Acme"}, headers=headers)
    other = api.key()
    assert api.done("POST", "/v1/tenants", {"name": "Other"}, headers=headers, key=other)["name"] == "Other"


def test_pages_show_every_row_once(api: ApiWorld) -> None:
    names = {f"t{number:02}" for number in range(7)}
    for name in names:
        api.done("POST", "/v1/tenants", {"name": name})
    seen, cursor = [], None
    while True:
        query = f"?limit=3&sort=-name{'&cursor=' + cursor if cursor else ''}"
        page = api.done("GET", "/v1/tenants" + query)
        seen += [row["name"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted([*names, "platform"], reverse=True)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "sort=colour", "cursor=!!", "plan=none"]
)
def test_a_wrong_page_is_a_clear_refusal(api: ApiWorld, query: str) -> None:
    status, _ = api.refused("GET", f"/v1/tenants?{query}")
    assert status in (404, 422)


def test_metadata_filters_lists(api: ApiWorld) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme", "metadata": {"crm": "7"}})
    api.done("POST", "/v1/tenants", {"name": "Other", "metadata": {"crm": "8"}})
    found = api.done("GET", "/v1/tenants?metadata.crm=7")["items"]
    assert [row["name"] for row in found] == ["Acme"]


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
def test_a_request_that_is_too_large_is_not_read_to_its_end(api: ApiWorld) -> None:
    headers = {"Authorization": f"Bearer {api.operator_key}", "Content-Type": "application/json"}
    reply = api.send("POST", "/v1/tenants", headers=headers, content=b" " * (MIB + 1))
    assert reply.status_code == 413
    assert reply.json()["status"] == 413


def test_what_is_not_served_is_a_problem_document_too(api: ApiWorld) -> None:
    assert api.refused("GET", "/v1/nothing")[0] == 404
    assert api.refused("PUT", "/v1/tenants")[0] == 405


def test_mistakes_are_told_in_plain_words_with_the_field(api: ApiWorld) -> None:
    told = {
        ("POST", "/v1/provision/batch", '{"rows": []}'): "rows: needs at least 1 of them, and has 0",
        ("PATCH", "/v1/tenants/platform", '{"name": null}'): "name: cannot be null",
        ("POST", "/v1/tenants", "{}"): "name: is missing",
        ("POST", "/v1/tenants", '{"name": 7}'): "name: must be a text",
        ("POST", "/v1/tenants", "{"): "body: is not JSON: ",
    }
    headers = {"Authorization": f"Bearer {api.operator_key}", "Content-Type": "application/json"}
    for (method, path, content), detail in told.items():
        reply = api.send(method, path, headers=headers, content=content)
        assert reply.status_code == 422
        assert reply.json()["detail"].startswith(detail)


def test_an_api_key_is_found_by_name_and_a_name_of_several_is_refused(api: ApiWorld) -> None:
    first = api.done("POST", "/v1/api-keys", {"name": "ci"})
    assert api.done("GET", "/v1/api-keys/ci")["id"] == first["id"]
    api.done("POST", "/v1/api-keys", {"name": "ci"})
    assert api.refused("GET", "/v1/api-keys/ci") == (409, "ambiguous")
    api.done("DELETE", f"/v1/api-keys/{first['key_id']}")
    assert api.done("GET", "/v1/api-keys/ci")["id"] != first["id"]
    assert api.refused("GET", "/v1/api-keys/cd") == (404, "api-key-not-found")


def test_an_empty_chosen_password_is_refused(api: ApiWorld) -> None:
    body = {"tenant": {"name": "Acme"}, "account": {"local_part": "bob"}, "app_password": ""}
    assert api.refused("POST", "/v1/provision", body)[0] == 422


def test_the_platforms_records_are_refused_to_a_tenant_as_the_operators(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    key = api.key("read", tenant=acme["id"])
    assert api.refused("GET", "/v1/platform/records", key=key) == (403, "operator-only")


@pytest.mark.parametrize(
    "path", ["/v1/tenants/%2F", "/v1/tenants/a%2Fb/%2f", "/v1%2Ftenants", "/v1/tenants/%FF%2F", "/%2F"]
)
def test_a_path_with_encoded_slashes_is_answered(api: ApiWorld, path: str) -> None:
    assert api.refused("GET", path)[0] == 404
