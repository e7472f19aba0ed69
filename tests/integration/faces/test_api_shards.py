"""Shards and source addresses over the API."""

from __future__ import annotations

import pytest

from tests.support.api import ApiWorld


@pytest.fixture(autouse=True)
def _tenants(api: ApiWorld) -> None:
    for name in ("Acme", "Other"):
        api.done("POST", "/v1/tenants", {"name": name})


def test_a_shard_is_made_changed_paused_and_retired(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/shards", {"name": "out.acme.test", "tenant": "Acme", "route": "capture:"})
    assert api.done("GET", "/v1/shards/out.acme.test") == made
    changed = api.done("PATCH", "/v1/shards/out.acme.test", {"weight": 5, "streams": ["bulk"]})
    assert (changed["weight"], changed["streams"]) == (5, ["bulk"])
    assert api.done("PATCH", "/v1/shards/out.acme.test", {"streams": None})["streams"] == []
    for verb, state in (("pause", "paused"), ("resume", "active"), ("retire", "retired")):
        assert api.done("POST", f"/v1/shards/out.acme.test/{verb}")["state"] == state
    assert api.refused("POST", "/v1/shards/out.acme.test/resume") == (409, "wrong-state")


def test_a_routes_password_is_taken_and_never_shown(api: ApiWorld) -> None:
    api.done("POST", "/v1/shards", {"name": "out.acme.test", "tenant": "Acme", "route": "capture:"})
    url = "smtps://user:hunter2-secret@relay.test"
    reply = api.call("POST", "/v1/shards/out.acme.test/route", {"route": url})
    assert reply.status_code == 200
    assert reply.json()["has_credentials"]
    assert "hunter2-secret" not in reply.text
    assert api.refused("POST", "/v1/shards/out.acme.test/route", {"route": "gopher://x"})[0] == 422


def test_only_one_of_two_that_read_the_same_shard_pauses_it(api: ApiWorld) -> None:
    api.done("POST", "/v1/shards", {"name": "out.acme.test", "tenant": "Acme", "route": "capture:"})
    tag = api.call("GET", "/v1/shards/out.acme.test").headers["etag"]
    path = "/v1/shards/out.acme.test/pause"
    assert api.call("POST", path, headers={"If-Match": tag}).status_code == 200
    assert api.call("POST", path, headers={"If-Match": tag}).status_code == 412


def test_another_tenants_shards_are_not_there(api: ApiWorld) -> None:
    api.done("POST", "/v1/shards", {"name": "out.acme.test", "tenant": "Acme", "route": "capture:"})
    other = api.key(tenant="Other")
    tries = [
        ("GET", "/v1/shards/out.acme.test", None),
        ("PATCH", "/v1/shards/out.acme.test", {"weight": 2}),
        ("POST", "/v1/shards/out.acme.test/route", {"route": "capture:"}),
        ("POST", "/v1/shards/out.acme.test/pause", None),
        ("POST", "/v1/shards/out.acme.test/retire", None),
        ("POST", "/v1/shards", {"name": "b.test", "tenant": "Acme"}),
    ]
    for method, path, body in tries:
        assert api.refused(method, path, body, key=other)[0] == 404, path
    assert "out.acme.test" not in api.call("GET", "/v1/shards", key=other).text


def test_source_addresses_are_the_operators_alone(api: ApiWorld) -> None:
    body = {"helo": "out1.gatepost.test", "ipv4": "192.0.2.1", "plans": ["free"]}
    made = api.done("POST", "/v1/source-addresses", body)
    assert api.done("GET", "/v1/source-addresses/out1.gatepost.test") == made
    changed = api.done("PATCH", "/v1/source-addresses/out1.gatepost.test", {"pool": "bulk", "plans": None})
    assert (changed["pool"], changed["plans"]) == ("bulk", [])
    tenant = api.key(tenant="Acme")
    assert api.done("GET", "/v1/source-addresses", key=tenant)["items"] == []
    path = "/v1/source-addresses/out1.gatepost.test"
    assert api.refused("GET", path, key=tenant)[0] == 404
    assert api.refused("PATCH", path, {"pool": "x"}, key=tenant)[0] == 404
    assert api.refused("POST", f"{path}/retire", key=tenant)[0] == 404
    assert api.done("POST", f"{path}/retire")["state"] == "retired"
    assert api.refused("POST", "/v1/source-addresses", {"helo": "x.test"}) == (422, "no-address")
