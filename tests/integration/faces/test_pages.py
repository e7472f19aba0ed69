"""Pages about a domain: who has the link sees the records, nobody else does."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from gateway.system.clock import ManualClock
from tests.support.api import ApiWorld
from tests.support.cli import Cli


@pytest.fixture(autouse=True)
def _domain(api: ApiWorld) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/domains", {"name": "mail.bücher.test", "tenant": "Acme", "mode": "send-receive"})


def opened(api: ApiWorld, **body: Any) -> str:
    """The path of a fresh link."""
    made = api.done("POST", "/v1/domains/mail.bücher.test/page", body)
    assert made["url"].startswith("https://mail.gatepost.test:8443/pages/domains/")
    return str(httpx.URL(made["url"]).path)


def test_a_link_shows_every_record_of_the_customer_without_a_login(api: ApiWorld) -> None:
    path = opened(api)
    reply = api.send("GET", path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    records = api.done("GET", "/v1/domains/mail.bücher.test/records")["items"]
    customers = [record for record in records if record["publisher"] == "customer"]
    assert len(customers) > 3
    for record in customers:
        assert record["name"] in reply.text
        value = record["value"].partition(" ")[2] if record["type"] == "MX" else record["value"]
        assert f"<code>{value}</code>" in reply.text
    assert "mail.bücher.test" in reply.text
    assert "mail.xn--bcher-kva.test" in reply.text


def test_the_state_is_told_to_the_page_alone(api: ApiWorld) -> None:
    path = opened(api)
    state = api.send("GET", path + "/state").json()
    assert state["sign"] == {"tone": "waiting", "words": "Waiting for DNS records"}
    assert state["zone"] == "xn--bcher-kva.test"
    assert "_gatepost-challenge.mail" in {card["short_name"] for card in state["cards"]}
    api.done("POST", "/v1/domains/mail.bücher.test/mark-verified", {"reason": "by telephone"})
    assert api.send("GET", path + "/state").json()["sign"]["tone"] == "right"


def test_nothing_may_be_loaded_framed_or_told_from_the_page(api: ApiWorld) -> None:
    reply = api.send("GET", opened(api))
    policy = reply.headers["content-security-policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-store"
    assert not re.search(r"(src|href)=[\"'](?!data:)", reply.text)


@pytest.mark.parametrize("change", ["first", "expiry", "last", "short", "long", "umlaut"])
def test_a_link_that_was_changed_is_not_there(api: ApiWorld, change: str) -> None:
    path = opened(api)
    folder, _, token = path.rpartition("/")
    at = {"first": 0, "expiry": 25, "last": len(token) - 2}.get(change)
    if at is not None:
        token = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    token = {"short": token[:-4], "long": token + "AAAA", "umlaut": "ü" * 54}.get(change, token)
    for ending in ("", "/state"):
        assert api.send("GET", f"{folder}/{token}{ending}").status_code == 404


def test_a_link_is_over_when_its_time_is(api: ApiWorld) -> None:
    path = opened(api, ttl_seconds=3_600)
    clock = api.services.writes.clock
    assert isinstance(clock, ManualClock)
    clock.advance(3_590)
    assert api.send("GET", path).status_code == 200
    clock.advance(20)
    reply = api.send("GET", path)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Ask whoever sent you the link" in reply.text


def test_links_are_audited_and_kept_out_of_the_description_of_the_api(api: ApiWorld) -> None:
    opened(api)
    [entry] = [entry for entry in audited(api) if entry.operation == "domain.page"]
    assert entry.resource_kind == "domain"
    assert not any("pages" in path for path in api.send("GET", "/openapi.json").json()["paths"])


def audited(api: ApiWorld) -> list[Any]:
    """The audit's entries."""
    from tests.support.control import OPERATOR

    return list(api.services.audit.list(OPERATOR))


def test_another_tenants_key_makes_no_link(api: ApiWorld) -> None:
    other = api.done("POST", "/v1/tenants", {"name": "Other"})
    key = api.key(tenant=other["id"])
    path = "/v1/domains/mail.bücher.test/page"
    assert api.refused("POST", path, {}, key=key)[0] == 404
    assert api.refused("POST", path, {"ttl_seconds": 1e9})[0] == 422


def test_the_command_prints_the_link(cli: Cli) -> None:
    made = cli.json("domain", "page", "mail.bücher.test", "--ttl", "1h")
    assert made["domain"] == "mail.xn--bcher-kva.test"
    assert cli.run("domain", "page", "mail.bücher.test", "--quiet").stdout.startswith("https://mail.gatepost")


def test_waiting_tells_by_its_exit_status_whether_the_state_came(api: ApiWorld, cli: Cli) -> None:
    words = ("domain", "wait", "mail.bücher.test", "--timeout", "0s")
    ended = cli.run(*words)
    assert ended.exit_code == 1
    assert "mail.xn--bcher-kva.test is pending, not active." in ended.stderr
    api.done("POST", "/v1/domains/mail.bücher.test/mark-verified", {"reason": "by telephone"})
    assert cli.json(*words)["state"] == "active"
