"""What is looked at before a body is read, and how much of it is read then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from gateway.faces.api.admission import network_of
from gateway.faces.api.facts import MIB, Bounds, facts_of
from gateway.faces.api.rates import FAILURES_AT_ONCE
from gateway.faces.api.routes import ROOMS
from tests.support.api import ApiWorld

JSON = {"Content-Type": "application/json"}
ONE_DATABASE = pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
API_MANUAL = Path(__file__).parents[3] / "docs" / "api.md"


def answered_unread(api: ApiWorld, path: str, headers: dict[str, str]) -> int:
    """The status of a POST whose body nobody may ask for."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    asyncio.run(api.app(scope, receive, send))
    return statuses[0]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **JSON}


def test_no_body_is_read_of_a_caller_that_is_not_let_in(api: ApiWorld) -> None:
    assert answered_unread(api, "/v1/provision/batch", JSON) == 401
    assert answered_unread(api, "/v1/provision/batch", bearer("gpk_" + "0" * 35)) == 401
    assert answered_unread(api, "/v1/provision/batch", bearer(api.key("read"))) == 403


def test_a_broken_body_without_a_key_is_a_missing_key(api: ApiWorld) -> None:
    assert api.send("POST", "/v1/tenants", headers=JSON, content=b"{").status_code == 401


def test_an_address_that_fails_too_often_is_told_so_and_its_keys_still_work(api: ApiWorld) -> None:
    wrong = bearer("gpk_" + "0" * 35)
    replies = [
        api.send("GET", "/v1/tenants", headers=wrong if number % 2 else {})
        for number in range(FAILURES_AT_ONCE + 5)
    ]
    assert {reply.status_code for reply in replies[: FAILURES_AT_ONCE - 5]} == {401}
    assert (replies[-1].status_code, replies[-1].json()["code"]) == (429, "too-many-requests")
    assert replies[-1].headers["retry-after"]
    assert api.call("GET", "/v1/tenants").status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("testclient", "testclient"),
    ],
)
def test_failures_are_counted_by_network(address: str, network: str) -> None:
    assert network_of(address) == network


@ONE_DATABASE
def test_a_length_beyond_the_bound_is_refused_unread(api: ApiWorld) -> None:
    headers = {**bearer(api.operator_key), "Content-Length": str(MIB + 1)}
    assert answered_unread(api, "/v1/tenants", headers) == 413


@ONE_DATABASE
def test_a_body_of_no_told_length_is_read_as_far_as_the_bound(api: ApiWorld) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 8 * MIB:
            sent += 65_536
            yield b" " * 65_536

    reply = api.send("POST", "/v1/tenants", headers=bearer(api.operator_key), content=pieces())
    assert (reply.status_code, reply.json()["code"]) == (413, "request-entity-too-large")


@ONE_DATABASE
def test_many_small_values_are_refused_before_they_are_parsed(api: ApiWorld) -> None:
    content = b'{"rows":[' + b"[]," * 300_000 + b"[]]}"
    reply = api.send("POST", "/v1/provision/batch", headers=bearer(api.operator_key), content=content)
    assert reply.status_code == 413
    assert "values" in reply.json()["detail"]


@ONE_DATABASE
def test_a_batch_of_the_most_rows_fits(api: ApiWorld) -> None:
    metadata = {f"key{number}": "x" * 100 for number in range(30)}
    rows = [
        {"tenant": {"name": "Acme"}, "account": {"local_part": f"u{number}", "metadata": metadata}}
        for number in range(500)
    ]
    # A mistake in the last one: that it is found says that all were read.
    rows[-1]["colour"] = {}
    reply = api.call("POST", "/v1/provision/batch", {"rows": rows})
    assert reply.status_code == 422
    assert reply.json()["errors"] == [{"field": "rows.499.colour", "problem": "there is no such field"}]


def test_a_large_message_is_taken(api: ApiWorld) -> None:
    made = api.done("POST", "/v1/provision", {"tenant": {"name": "Acme"}, "account": {"local_part": "bob"}})
    text = 'It costs "7, 8, {or} [9]".\n' * 20_000
    sent = api.call(
        "POST",
        f"/v1/accounts/{made['grant_id']}/messages",
        {"to": ["a@example.org"], "subject": "x", "text": text},
    )
    assert sent.status_code == 202, sent.text


@ONE_DATABASE
def test_the_manual_lists_the_bounds_of_every_operation(api: ApiWorld) -> None:
    section = API_MANUAL.read_text("utf-8").partition("## Sizes")[2].partition("\n## ")[0]
    documented = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[1].isdecimal():
            bounds = Bounds(int(cells[1]) * MIB, int(cells[2]))
            documented |= dict.fromkeys(cells[0].partition("(")[0].split("`")[1::2], bounds)
    routes = [route for room in ROOMS for route in room.api.routes if isinstance(route, APIRoute)]
    facts = [facts_of(route.endpoint) for route in routes]
    assert {one.cli: one.bounds for one in facts if one.bounds != Bounds()} == documented


@ONE_DATABASE
@pytest.mark.parametrize("kind", ["application/xml", "message/rfc822", "text/json", ""])
def test_a_body_of_another_kind_is_refused_as_such(api: ApiWorld, kind: str) -> None:
    headers = {"Authorization": f"Bearer {api.operator_key}", "Content-Type": kind}
    reply = api.send("POST", "/v1/tenants", headers=headers, content=json.dumps({"name": "Acme"}))
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported-media-type")
