"""Which plan gives more of something."""

from __future__ import annotations

import pytest

from gateway.control.policies.packaged import packaged_documents
from gateway.control.policies.resolution import PolicySet
from gateway.control.policies.tiers import next_plan

PACKAGED = PolicySet(packaged_documents())


@pytest.mark.parametrize(
    ("plan", "limit", "larger"),
    [
        ("trial", "limits.account.messages_per_day", "free"),
        ("free", "limits.account.messages_per_day", "standard"),
        ("standard", "limits.account.messages_per_day", None),
        ("standard", "limits.account.storage_bytes", "enterprise"),
        ("enterprise", "limits.account.storage_bytes", None),
        ("gone", "limits.account.storage_bytes", None),
        ("trial", "limits.account.no_such_limit", None),
    ],
)
def test_the_next_of_the_packaged_plans(plan: str, limit: str, larger: str | None) -> None:
    assert next_plan(PACKAGED, plan, limit) == larger
