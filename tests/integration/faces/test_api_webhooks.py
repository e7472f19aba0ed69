"""Webhooks over the API: secrets shown once, walls, what can be changed."""

from __future__ import annotations

import pytest

from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

URL = "https://hooks.example.com/gatepost"


def test_a_secret_is_shown_once(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    made = api.done("POST", "/v1/webhooks", {"url": URL, "events": ["message.*"]}, headers=headers)
    assert made["secret"].startswith("whsec_")
    again = api.done("POST", "/v1/webhooks", {"url": URL, "events": ["message.*"]}, headers=headers)
    assert again["id"] == made["id"]
    assert again["secret"] is None
    assert "rotate-secret" in again["fix"]
    shown = api.call("GET", f"/v1/webhooks/{made['id']}").text
    assert made["secret"] not in shown
    rotated = api.done("POST", f"/v1/webhooks/{made['id']}/rotate-secret")
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["old_secret_until"] is not None


def test_a_webhook_is_found_by_its_address_changed_and_deleted(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/webhooks", {"url": URL})
    changed = api.done("PATCH", f"/v1/webhooks/{made['id']}", {"events": ["account.*"], "description": "CRM"})
    assert (changed["events"], changed["description"]) == (["account.*"], "CRM")
    assert api.done("PATCH", f"/v1/webhooks/{made['id']}", {"description": None})["description"] is None
    assert api.done("POST", f"/v1/webhooks/{made['id']}/pause")["state"] == "paused"
    assert api.done("POST", f"/v1/webhooks/{made['id']}/resume")["state"] == "active"
    assert api.done("GET", f"/v1/webhooks/{made['id']}/deliveries")["items"] == []
    api.done("DELETE", f"/v1/webhooks/{made['id']}")
    assert api.refused("GET", f"/v1/webhooks/{made['id']}")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://hooks.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "ftp://x"},
        {"url": URL, "events": ["weather.*"]},
        {"url": URL, "secret": "mine"},
    ],
)
def test_a_webhook_that_cannot_be_is_refused(api: ApiWorld, body: dict[str, object]) -> None:
    assert api.refused("POST", "/v1/webhooks", body)[0] == 422


def test_a_tenants_key_makes_its_tenants_webhook(api: ApiWorld) -> None:
    acme = api.done("POST", "/v1/tenants", {"name": "Acme"})
    key = api.key(tenant=acme["id"])
    assert api.done("POST", "/v1/webhooks", {"url": URL}, key=key)["tenant_id"] == acme["id"]
    operators = api.done("POST", "/v1/webhooks", {"url": "https://ops.example.com/"})
    assert api.refused("GET", f"/v1/webhooks/{operators['id']}", key=key)[0] == 404
    assert [one["url"] for one in api.done("GET", "/v1/webhooks", key=key)["items"]] == [URL]


def test_replaying_tells_how_much(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/webhooks", {"url": URL})
    body = {"since": "2026-01-01T00:00:00Z"}
    assert api.done("POST", f"/v1/webhooks/{made['id']}/replay", body) == {"events": 0}


def test_a_ping_is_a_delivery_of_its_own(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/webhooks", {"url": URL, "events": ["message.*"]})
    sent = api.done("POST", f"/v1/webhooks/{made['id']}/ping")
    assert (sent["event"], sent["state"]) == ("gatepost.webhook.ping", "pending")
    assert api.done("GET", f"/v1/webhooks/{made['id']}/deliveries")["items"] == [sent]
    (row,) = api.done("GET", "/v1/audit?operation=webhook.ping")["items"]
    assert row["resource_id"] == made["id"]
    api.services.tenants.create(OPERATOR, "Other")
    assert api.refused("POST", f"/v1/webhooks/{made['id']}/ping", key=api.key(tenant="Other"))[0] == 404
