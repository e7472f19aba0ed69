"""A domain's page in a real browser: readable on a phone, live, and copied from."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Browser, expect

from tests.support.api import ApiWorld

PHONE = {"width": 390, "height": 844}


def test_a_page_is_complete_on_a_phone_follows_the_domain_and_gives_values_to_copy(
    api: ApiWorld, served: str, browser: Browser
) -> None:
    calls = httpx.Client(base_url=served, headers={"Authorization": f"Bearer {api.operator_key}"})
    calls.post("/v1/tenants", json={"name": "Acme"})
    calls.post("/v1/domains", json={"name": "acme.test", "tenant": "Acme", "mode": "send-receive"})
    path = urlsplit(calls.post("/v1/domains/acme.test/page", json={}).json()["url"]).path
    context = browser.new_context(viewport=PHONE)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(served + path, timeout=60_000)

    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], "nothing sticks out"
    records = calls.get("/v1/domains/acme.test/records").json()["items"]
    expect(page.locator("article")).to_have_count(sum(row["publisher"] == "customer" for row in records))
    page.get_by_role("button", name="Copy Proves that the domain is yours: Value").click()
    expect(page.get_by_role("button", name="Copy Proves that the domain is yours: Value")).to_have_text(
        "Copied"
    )
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == next(row["value"] for row in records if row["purpose"] == "ownership")

    expect(page.locator("#state .badge")).to_have_text("Waiting for DNS records")
    calls.post("/v1/domains/acme.test/mark-verified", json={"reason": "by telephone"})
    expect(page.locator("#state .badge")).to_have_text("Active", timeout=60_000)
    assert complaints == []
    context.close()
    calls.close()
