"""Which audit entries are events, and which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.control.events.operations import event_type
from gateway.control.events.types import PREFIX, EventType

DOCS = Path(__file__).parents[4] / "docs" / "events.md"

ACTIVE: dict[str, Any] = {"status": "active", "workspace_id": "w1"}


@pytest.mark.parametrize(
    ("operation", "kind", "before", "after", "expected"),
    [
        ("account.create", "account", None, ACTIVE, "account.created"),
        ("account.move", "account", ACTIVE, {**ACTIVE, "workspace_id": "w2"}, "account.moved"),
        ("account.update", "account", ACTIVE, {**ACTIVE, "name": "x"}, "account.updated"),
        ("account.update", "account", ACTIVE, {**ACTIVE, "status": "suspended"}, "account.suspended"),
        ("account.update", "account", {**ACTIVE, "status": "suspended"}, ACTIVE, "account.resumed"),
        ("account.delete", "account", ACTIVE, {**ACTIVE, "status": "deleting"}, "account.deleting"),
        ("account.erase", "account", ACTIVE, None, "account.deleted"),
        ("account.promote-refused", "account", None, {"reason": "taken"}, None),
        ("domain.add", "domain", None, {"state": "pending"}, "domain.created"),
        ("domain.add-trial", "domain", None, {"state": "active"}, "domain.created"),
        ("domain.verify", "domain", {"state": "pending"}, {"state": "active"}, "domain.active"),
        ("domain.verify", "domain", {"state": "active"}, {"state": "degraded"}, "domain.degraded"),
        ("domain.verify", "domain", {"state": "pending"}, {"state": "pending"}, None),
        ("domain.update", "domain", {"state": "active"}, {"state": "active"}, "domain.updated"),
        ("dkim-key.rotate", "key", None, {"state": "pending"}, "key.waiting"),
        ("dkim-key.create", "key", None, {"state": "active"}, "key.active"),
        ("dkim-key.activate", "key", {"state": "pending"}, {"state": "active"}, "key.active"),
        ("dkim-key.pool", "key", None, {"state": "pending"}, None),
        ("dkim-key.withdraw", "key", {"state": "retiring"}, {"state": "retiring"}, None),
        ("shard.pause", "shard", {"state": "active"}, {"state": "paused"}, "shard.paused"),
        ("shard.resume", "shard", {"state": "paused"}, {"state": "active"}, "shard.resumed"),
        ("tenant.suspend", "tenant", ACTIVE, {**ACTIVE, "status": "suspended"}, "tenant.suspended"),
        ("app-password.revoke", "credential", {"account_id": "a"}, None, "account.password_revoked"),
        ("policy.apply", "policy", None, {"version": 1}, None),
        ("master-key.rotate", "platform", None, None, None),
    ],
)
def test_each_change_is_told_by_what_it_meant(
    operation: str, kind: str, before: Any, after: Any, expected: str | None
) -> None:
    assert event_type(operation, kind, before, after) == (expected and f"{PREFIX}{expected}")


def test_the_manual_lists_every_type_and_no_other() -> None:
    rows = [
        line.split("|")[1].strip()
        for line in DOCS.read_text().splitlines()
        if line.startswith("| `gatepost.")
    ]
    assert sorted(row.strip("`") for row in rows) == sorted(one.value for one in EventType)
