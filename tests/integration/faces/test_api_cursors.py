"""Cursors of every list there is: one that was made up, changed or taken from another list is refused."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from gateway.faces.api.application import schema
from tests.integration.faces.test_api_walls import filled, tenant
from tests.support.api import ApiWorld
from tests.support.control import OPERATOR

FORGED: tuple[Any, ...] = (
    [1, 1_800_000_000, {"location:default": [1]}],
    [1, 1_800_000_000, {"refused:default": [1]}],
    [1, 1_800_000_000, {"control": [1, 2, 3, 4]}],
    [None, 2**70, "0192e4a0-0000-7000-8000-000000000000"],
    [None, 1e308, "x"],
    [None, "text", "x"],
    [None, "\0", "\0"],
    ["messages", "x"],
    ["queue", ["x", 2**62]],
    ["refused", {"default": 2**62}],
    {"control": 2**62},
    7,
)
WORDS = ("", "x", "é", "7", "A" * 44, "A" * 10_001, "=", "%00")


def encoded(document: Any) -> str:
    """A document as services write cursors."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def changed(cursor: str) -> list[str]:
    """The same cursor with one octet changed, at each end and in the middle, and cut."""
    octets = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    found = [cursor[:-4], cursor + "AAAA"]
    for place in (0, 3, 8, len(octets) // 2, -1):
        octets[place] ^= 1
        found.append(base64.urlsafe_b64encode(octets).decode().rstrip("="))
        octets[place] ^= 1
    return found


def lists(api: ApiWorld) -> list[tuple[str, list[dict[str, Any]]]]:
    """Every operation that takes a cursor: its path and its parameters."""
    return [
        (path, methods["get"]["parameters"])
        for path, methods in schema(api.app)["paths"].items()
        if any(one["name"] == "cursor" for one in methods.get("get", {}).get("parameters", ()))
    ]


def test_no_list_takes_a_cursor_that_it_did_not_give(api: ApiWorld) -> None:
    things = tenant(api, "acme").things
    tenant(api, "other")
    genuine = {
        "/v1/tenants": api.done("GET", "/v1/tenants?limit=1")["next_cursor"],
        "/v1/accounts": api.done("GET", "/v1/accounts?limit=1")["next_cursor"],
        "/v1/events": api.done("GET", "/v1/events?limit=1")["next_cursor"],
        "/v1/audit": api.done("GET", "/v1/audit?limit=1")["next_cursor"],
    }
    found = lists(api)
    assert len(found) > 15
    wrong = []
    for path, _ in found:
        foreign = [cursor for name, cursor in genuine.items() if not path.startswith(name)]
        own = [one for name, cursor in genuine.items() if name == path for one in changed(cursor)]
        for cursor in (*map(encoded, FORGED), *WORDS, *foreign, *own):
            reply = api.call("GET", f"{filled(path, things)}?cursor={quote(cursor)}")
            plain = reply.headers["content-type"] == "application/problem+json"
            if reply.status_code not in (400, 422) or not plain:
                wrong.append(f"{path} with {cursor[:50]!r}: {reply.status_code} {reply.text[:200]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", ["/v1/tenants", "/v1/accounts", "/v1/audit", "/v1/events", "/v1/messages"])
def test_the_cursor_that_a_list_gives_continues_it(api: ApiWorld, path: str) -> None:
    tenant(api, "acme")
    tenant(api, "other")
    whole = [one["id"] for one in api.done("GET", f"{path}?limit=500")["items"]]
    paged, cursor = [], ""
    while len(paged) < len(whole):
        page = api.done("GET", f"{path}?limit=1{cursor}")
        paged += [one["id"] for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == whole


def test_neither_cursors_nor_ids_tell_a_tenant_how_much_happens_to_others(api: ApiWorld) -> None:
    acme = api.services.tenants.create(OPERATOR, "Acme")
    key = api.key(tenant=acme.id)
    page = api.done("GET", "/v1/events?limit=1", key=key)
    octets = base64.urlsafe_b64decode(page["next_cursor"] + "==")
    assert b"control" not in octets
    assert b"location" not in octets
    assert page["items"][0]["id"] == api.services.audit.list(OPERATOR, tenant=acme.id)[-1].id
