"""Times that a zone carries over the calendar's end: refused, and a stored one breaks no page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from gateway.control.apikeys.model import ApiKeyRow
from gateway.control.credentials.model import CredentialRow
from gateway.control.errors import Invalid
from gateway.faces.api.application import schema
from tests.integration.faces.test_api_walls import filled, query_for, tenant
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

LATE = "9999-12-31T23:59:59-23:59"
EARLY = "0001-01-01T00:00:00+23:59"
BEYOND = 253_402_300_800.0


def bodies(things: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Every request whose body has a time."""
    return [
        ("/v1/app-passwords", {"account": things["account"], "expires_at": LATE}),
        ("/v1/api-keys", {"name": "late", "expires_at": LATE}),
        (
            "/v1/limits",
            {"target": things["account"], "limits": {"daily": 2_000}, "until": LATE, "reason": "x"},
        ),
        (
            f"/v1/accounts/{things['account']}/messages",
            {"to": ["b@example.net"], "text": "x", "send_at": LATE},
        ),
        (f"/v1/webhooks/{things['webhook']}/replay", {"since": EARLY}),
        (f"/v1/webhooks/{things['webhook']}/replay", {"since": "2026-01-01T00:00:00Z", "until": LATE}),
    ]


def timed_fields(description: dict[str, Any]) -> int:
    """How many fields of requests hold a time."""
    used = {
        content["schema"]["$ref"].rsplit("/", 1)[1]
        for methods in description["paths"].values()
        for operation in methods.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in content["schema"]
    }
    fields = (
        field
        for name in used
        for field in description["components"]["schemas"][name].get("properties", {}).values()
    )
    return sum("date-time" in str(field) for field in fields)


def test_no_body_takes_a_time_that_no_calendar_has(api: ApiWorld) -> None:
    requests = bodies(tenant(api, "acme").things)
    assert timed_fields(schema(api.app)) == len(requests), "name the new field in `bodies`"
    for path, body in requests:
        assert api.refused("POST", path, body) == (422, "bad-time"), path
    everything = [*api.done("GET", "/v1/app-passwords")["items"], *api.done("GET", "/v1/api-keys")["items"]]
    assert all(one["expires_at"] is None for one in everything)


def test_no_query_takes_a_time_that_no_calendar_has(api: ApiWorld) -> None:
    things, description = tenant(api, "acme").things, schema(api.app)
    seen = 0
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            for one in operation.get("parameters", ()):
                if one["in"] != "query" or "date-time" not in str(one["schema"]):
                    continue
                seen += 1
                for word in (LATE, EARLY):
                    given = query_for(description, operation).lstrip("?").split("&")
                    others = [pair for pair in given if pair and not pair.startswith(f"{one['name']}=")]
                    query = "&".join([*others, f"{one['name']}={quote(word)}"])
                    reply = api.call(method.upper(), f"{filled(path, things)}?{query}")
                    assert reply.status_code == 422, f"{method} {path} {one['name']}: {reply.text[:200]}"
    assert seen > 8


def test_the_services_refuse_it_too(api: ApiWorld) -> None:
    things, services = tenant(api, "acme").things, api.services
    with pytest.raises(Invalid, match="9999"):
        services.credentials.create(OPERATOR, things["account"], expires_at=BEYOND)
    with pytest.raises(Invalid, match="9999"):
        services.api_keys.create(OPERATOR, "late", rights=("read",), expires_at=BEYOND)
    with pytest.raises(Invalid, match="9999"):
        services.raises.create(OPERATOR, things["account"], {"daily": 2_000}, until=BEYOND, reason="x")
    with pytest.raises(Invalid, match="9999"):
        services.history.account_at(OPERATOR, things["account"], BEYOND)
    with pytest.raises(Invalid, match="9999"):
        services.history.report(OPERATOR, things["tenant"], 0.0, BEYOND)
    with pytest.raises(Invalid, match="9999"):
        api.parts.deliveries.replay(OPERATOR, things["webhook"], since=0.0, until=BEYOND)


def test_one_that_is_stored_already_breaks_no_page(api: ApiWorld) -> None:
    things = tenant(api, "acme").things
    with api.services.writes.change(OPERATOR) as change:
        change.session.execute(sa.update(CredentialRow).values(expires_at=BEYOND))
        change.session.execute(sa.update(ApiKeyRow).values(expires_at=BEYOND))
        change.audit(
            "app-password.create",
            "app_password",
            things["password"],
            tenant_id=things["tenant"],
            before=None,
            after={"expires_at": BEYOND},
        )
    for path in ("/v1/app-passwords", "/v1/api-keys"):
        assert {one["expires_at"] for one in api.done("GET", path)["items"]} == {"9999-12-31T23:59:59Z"}
    newest = api.done("GET", "/v1/audit")["items"][0]
    assert newest["after"]["expires_at"] == "9999-12-31T23:59:59Z"
    assert api.done("GET", "/v1/events")["items"]
    export = api.call("GET", f"/v1/tenants/{things['tenant']}/export")
    assert export.status_code == 200
    assert "9999-12-31T23:59:59Z" in export.text


def test_a_grace_of_endless_digits_is_refused(api: ApiWorld) -> None:
    things = tenant(api, "acme").things
    for kind in ("domain", "account", "tenant"):
        reply = api.call("DELETE", f"/v1/{kind}s/{things[kind]}?grace_seconds={'9' * 400}")
        assert reply.status_code == 422, reply.text
