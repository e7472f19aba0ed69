"""Which events a webhook wants."""

from __future__ import annotations

import pytest

from gateway.control.webhooks.filters import parse_filters, wants
from gateway.control.webhooks.records import WebhookRecord


@pytest.mark.parametrize(
    ("filters", "kind", "wanted"),
    [
        (["*"], "message.delivered", True),
        (["message.*"], "gatepost.message.delivered", True),
        (["message.bounced"], "gatepost.message.bounced", True),
        (["message.delivered"], "message.delivered", True),
        (["message.delivered"], "message.deferred", False),
        (["message.*"], "message.delivered", True),
        (["message.*"], "message", False),
        (["message.*"], "messages.delivered", False),
        (["quota.*", "message.bounced"], "message.bounced", True),
    ],
)
def test_exact_types_and_prefixes(filters: list[str], kind: str, wanted: bool) -> None:
    assert wants(filters, kind) is wanted


def test_no_filter_is_every_event() -> None:
    assert parse_filters([]) == ["*"]
    assert parse_filters(["gatepost.*"]) == ["*"]
    assert parse_filters(["quota.*", "gatepost.quota.*"]) == ["quota.*"]


def hook(**changes: object) -> WebhookRecord:
    values = {"tenant_id": "t1", "environment": None, "workspace_id": None, "events": ("*",)} | changes
    return WebhookRecord(id="w", url="", state="active", created_at=0.0, secrets=(), **values)  # type: ignore[arg-type]


def test_a_tenants_webhook_gets_its_own_events_and_the_platforms_gets_all() -> None:
    assert hook().wants("a", "t1", None, None)
    assert not hook().wants("a", "t2", None, None)
    assert not hook().wants("a", None, None, None)
    assert hook(tenant_id=None).wants("a", "t2", None, None)
    assert hook(tenant_id=None).wants("a", None, None, None)


def test_what_it_filters_by_the_event_must_have() -> None:
    assert hook(environment="staging").wants("a", "t1", "staging", None)
    assert not hook(environment="staging").wants("a", "t1", "production", None)
    assert not hook(environment="staging").wants("a", "t1", None, None)
    assert hook(workspace_id="w1").wants("a", "t1", None, "w1")
    assert not hook(workspace_id="w1").wants("a", "t1", None, None)
