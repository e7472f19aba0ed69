"""Which events are worth a notice."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.events.types import Event, EventType
from gateway.outgoing.notices.kinds import COMMON, PLACEHOLDERS, Kind, draft_of, trial_ending

NOW = 1_800_000_000.0


def event(kind: EventType, tenant_id: str | None = "t1", **data: Any) -> Event:
    return Event("e", kind, NOW, "account/a1", tenant_id, account_id="a1", data=data)


def quota(percent: int, window: str = "day", metric: str = "messages", **data: Any) -> Event:
    values = {"scope": "account", "limit": 200, "value": 150, "opens_at": NOW} | data
    return event(EventType.QUOTA_REACHED, percent=percent, window=window, metric=metric, **values)


@pytest.mark.parametrize(
    ("percent", "window", "told"),
    [
        (50, "day", False),
        (75, "day", True),
        (90, "month", True),
        (100, "day", True),
        (90, "hour", False),
        (100, "hour", True),
        (100, "minute", False),
    ],
)
def test_quotas_are_told_from_three_quarters_on(percent: int, window: str, told: bool) -> None:
    assert (draft_of(quota(percent, window)) is not None) is told


def test_what_a_quota_notice_says() -> None:
    draft = draft_of(quota(90, metric="first_time_recipients"))
    assert draft is not None
    assert draft.values["what"] == "first-time recipients per day"
    assert draft.values["opens_at"] == "2027-01-15 08:00 UTC"
    assert draft.limit == "limits.account.first_time_recipients_per_day"
    assert draft.account_id == "a1"
    assert draft.subject != draft_of(quota(75, metric="first_time_recipients")).subject  # type: ignore[union-attr]


def test_storage_is_told_in_octets_people_read() -> None:
    draft = draft_of(event(EventType.STORAGE_REACHED, percent=75, limit=1 << 30, value=805_306_368))
    assert draft is not None and draft.kind is Kind.STORAGE
    assert (draft.values["used"], draft.values["limit"]) == ("768 MiB", "1 GiB")


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (EventType.DOMAIN_RECORD_LOST, Kind.RECORD_LOST),
        (EventType.DOMAIN_DEGRADED, Kind.RECORD_LOST),
        (EventType.DOMAIN_EXPIRED, Kind.VERIFICATION_FAILED),
        (EventType.DOMAIN_SUSPENDED, Kind.VERIFICATION_FAILED),
        (EventType.SHARD_PAUSED, Kind.SHARD_PAUSED),
        (EventType.WEBHOOK_DISABLED, Kind.WEBHOOK_DISABLED),
    ],
)
def test_changes_of_resources(type_: EventType, kind: Kind) -> None:
    after = {
        "id": "w1",
        "name": "acme.test",
        "state": "x",
        "url": "https://h.test/token-7",
        "state_reason": "410",
    }
    draft = draft_of(event(type_, before={}, after=after))
    assert draft is not None and draft.kind is kind
    assert "token-7" not in str(draft.values)
    assert set(draft.values) <= PLACEHOLDERS[kind] - COMMON


@pytest.mark.parametrize(("publisher", "is_told"), [("customer", True), ("platform", False)])
def test_a_key_that_waits_is_told_to_those_who_publish_it(publisher: str, is_told: bool) -> None:
    after = {
        "name": "gp20261126a._domainkey.acme.test",
        "domain": "acme.test",
        "record_value": "v=DKIM1; k=rsa; p=MII",
        "publish_by": publisher,
    }
    draft = draft_of(event(EventType.KEY_WAITING, before=None, after=after))
    assert (draft is not None) is is_told
    if draft is not None:
        assert draft.values["record"] == "gp20261126a._domainkey.acme.test"
        assert set(draft.values) <= PLACEHOLDERS[draft.kind]


def test_all_else_is_nobodys_business() -> None:
    assert draft_of(event(EventType.MESSAGE_DELIVERED)) is None
    assert draft_of(event(EventType.SHARD_PAUSED, tenant_id=None, after={"name": "x"})) is None


def test_the_end_of_a_trial() -> None:
    draft = trial_ending("t1", NOW, NOW + 7 * 86_400)
    assert (draft.kind, draft.values["ends_at"]) == (Kind.TRIAL_ENDING, "2027-01-22")
