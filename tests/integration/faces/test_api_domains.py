"""Domains, their records and their keys over the API."""

from __future__ import annotations

import pytest

from tests.support.api import ApiWorld


@pytest.fixture(autouse=True)
def _tenants(api: ApiWorld) -> None:
    for name in ("Acme", "Other"):
        api.done("POST", "/v1/tenants", {"name": name})


def test_a_domain_is_added_shown_and_listed_with_the_callers_own_words(api: ApiWorld) -> None:
    body = {"name": "Acme.test", "tenant": "Acme", "client_id": "d-1", "metadata": {"zone": "eu"}}
    made = api.done("POST", "/v1/domains", body)
    assert (made["name"], made["state"], made["client_id"]) == ("acme.test", "pending", "d-1")
    assert api.done("GET", "/v1/domains/acme.test") == made
    for query in ("client_id=d-1", "metadata.zone=eu", "state=pending&tenant=Acme", "name=acme.test"):
        found = api.done("GET", f"/v1/domains?{query}")["items"]
        assert [row["id"] for row in found] == [made["id"]], query


def test_a_long_name_is_taken_and_one_that_is_too_long_hears_so(api: ApiWorld) -> None:
    longest = ".".join(["a" * 54] * 4 + ["test"])
    assert len(longest) == 224
    assert api.done("POST", "/v1/domains", {"name": longest, "tenant": "Acme"})["name"] == longest
    shard = "s." + longest
    assert api.done("POST", "/v1/shards", {"name": shard, "tenant": "Acme"})["name"] == shard
    for before, why in (
        ("bb.", "it has 227 octets, and the names of its records"),
        ("c" * 30 + ".", "it has 255 octets; names end at 253"),
    ):
        reply = api.call("POST", "/v1/domains", {"name": before + longest, "tenant": "Acme"})
        assert (reply.status_code, reply.json()["code"]) == (422, "bad-domain-name")
        assert why in reply.json()["detail"]


def test_the_records_to_publish_are_listed_without_a_look_at_dns(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    records = api.done("GET", "/v1/domains/acme.test/records")["items"]
    assert {"ownership", "dkim", "dmarc"} <= {record["purpose"] for record in records}
    assert {record["state"] for record in records} == {"unchecked"}


def test_a_patch_changes_what_it_names_and_null_takes_away(api: ApiWorld) -> None:
    api.done(
        "POST",
        "/v1/domains",
        {"name": "acme.test", "tenant": "Acme", "client_id": "d-1", "metadata": {"zone": "eu"}},
    )
    changed = api.done("PATCH", "/v1/domains/acme.test", {"mode": "send-receive"})
    assert (changed["mode"], changed["client_id"]) == ("send-receive", "d-1")
    cleared = api.done("PATCH", "/v1/domains/acme.test", {"client_id": None, "metadata": None})
    assert (cleared["mode"], cleared["client_id"], cleared["metadata"]) == ("send-receive", None, {})
    reply = api.call("PATCH", "/v1/domains/acme.test", {"mode": None})
    assert reply.status_code == 422
    assert reply.json()["detail"] == "mode: cannot be null"


def test_marking_as_verified_needs_a_reason_and_happens_once(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    path = "/v1/domains/acme.test/mark-verified"
    assert api.refused("POST", path, {"reason": " "}) == (422, "no-reason")
    assert api.done("POST", path, {"reason": "shown by mail"})["state"] == "active"
    assert api.refused("POST", path, {"reason": "again"}) == (409, "already-verified")


def test_a_trial_name_is_given_once_for_each_environment(api: ApiWorld) -> None:
    body = {"tenant": "Acme", "environment": "staging"}
    made = api.done("POST", "/v1/domains/trial", body)
    assert (made["kind"], made["state"]) == ("trial", "active")
    assert api.refused("POST", "/v1/domains/trial", body) == (409, "domain-exists")


def test_what_dns_showed_is_told_without_a_look_and_as_a_history(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    before = api.done("GET", "/v1/domains/acme.test/verify")
    assert (before["looked_at"], {one["state"] for one in before["records"]}) == (None, {"unchecked"})
    looked = api.done("POST", "/v1/domains/acme.test/verify")
    assert looked["looked_at"] is not None
    assert {one["state"] for one in looked["records"]} == {"missing"}
    assert "Not as it should be yet" in looked["reason"]
    assert api.done("GET", "/v1/domains/acme.test/verify") == looked
    rows = api.done("GET", "/v1/domains/acme.test/history?limit=2")["items"]
    assert [(row["before"], row["after"]) for row in rows] == [("unchecked", "missing")] * 2
    assert rows[0]["at"] == looked["looked_at"]


def test_too_many_looks_are_refused_with_the_time_of_the_next(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    for _ in range(6):
        api.done("POST", "/v1/domains/acme.test/verify")
    reply = api.call("POST", "/v1/domains/acme.test/verify")
    assert (reply.status_code, reply.json()["code"]) == (429, "verify-too-soon")
    assert int(reply.headers["retry-after"]) <= 10


def test_keys_are_made_rotated_and_revoked_and_never_show_their_private_half(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    first = api.done("GET", "/v1/dkim-keys?domain=acme.test")["items"][0]
    made = api.done("POST", "/v1/dkim-keys", {"domain": "acme.test", "algorithm": "ed25519"})
    assert api.done("GET", f"/v1/dkim-keys/{made['name']}") == made
    assert "PRIVATE" not in api.call("GET", "/v1/dkim-keys").text
    successors = api.done("POST", "/v1/dkim-keys/rotate", {"domain": "acme.test"})["items"]
    assert first["id"] not in {key["id"] for key in successors}
    revoked = api.done("POST", f"/v1/dkim-keys/{first['id']}/revoke")
    assert (revoked["state"], revoked["record_value"].endswith("p=")) == ("revoked", True)
    assert api.refused("POST", f"/v1/dkim-keys/{first['id']}/revoke") == (409, "already-revoked")
    assert api.done("PATCH", f"/v1/dkim-keys/{made['id']}", {"metadata": {"hsm": "no"}})["metadata"]


def test_a_repeated_rotation_shows_the_same_successors_again(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    headers = {"Idempotency-Key": "rotate-1"}
    first = api.done("POST", "/v1/dkim-keys/rotate", {"domain": "acme.test"}, headers=headers)
    again = api.done("POST", "/v1/dkim-keys/rotate", {"domain": "acme.test"}, headers=headers)
    assert again == first
    assert len(api.done("GET", "/v1/dkim-keys?domain=acme.test")["items"]) == 2


def test_a_file_that_is_no_key_is_refused(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    status, _ = api.refused("POST", "/v1/dkim-keys/import", {"domain": "acme.test", "pem": "nonsense"})
    assert status == 422


def test_another_tenants_domains_and_keys_are_not_there(api: ApiWorld) -> None:
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    key = api.done("GET", "/v1/dkim-keys?domain=acme.test")["items"][0]["id"]
    other = api.key(tenant="Other")
    tries = [
        ("GET", "/v1/domains/acme.test", None),
        ("PATCH", "/v1/domains/acme.test", {"mode": "send"}),
        ("GET", "/v1/domains/acme.test/records", None),
        ("POST", "/v1/domains/acme.test/verify", None),
        ("GET", "/v1/domains/acme.test/verify", None),
        ("GET", "/v1/domains/acme.test/history", None),
        ("POST", "/v1/domains/acme.test/mark-verified", {"reason": "mine"}),
        ("POST", "/v1/domains", {"name": "x.test", "tenant": "Acme"}),
        ("POST", "/v1/domains/trial", {"tenant": "Acme", "environment": "staging"}),
        ("GET", f"/v1/dkim-keys/{key}", None),
        ("PATCH", f"/v1/dkim-keys/{key}", {"metadata": {}}),
        ("POST", f"/v1/dkim-keys/{key}/activate", None),
        ("POST", f"/v1/dkim-keys/{key}/revoke", None),
        ("POST", "/v1/dkim-keys", {"domain": "acme.test"}),
        ("POST", "/v1/dkim-keys/rotate", {"domain": "acme.test"}),
    ]
    for method, path, body in tries:
        assert api.refused(method, path, body, key=other)[0] == 404, path
    assert all(row["tenant_id"] != key for row in api.done("GET", "/v1/domains", key=other)["items"])
    assert "acme.test" not in api.call("GET", "/v1/domains", key=other).text
