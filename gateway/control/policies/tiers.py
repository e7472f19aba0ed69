"""Which plan gives more of something than another. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gateway.control.policies.keys import KEYS

if TYPE_CHECKING:
    from gateway.control.policies.resolution import PolicySet

_LIMITS = tuple(name for name, key in KEYS.items() if key.is_limit)


def next_plan(documents: PolicySet, plan: str, limit: str) -> str | None:
    """The smallest plan with a higher `limit` ("limits.account.messages_per_day") than `plan` has.

    Of plans that are the same in it the one with less of everything else. None: there is no such plan.
    """
    plans = {
        one.name: {name: _value(documents, one.name, name) for name in _LIMITS}
        for one in documents.documents
        if one.kind == "plan"
    }
    if plan not in plans or limit not in KEYS:
        return None
    larger = [name for name, limits in plans.items() if limits[limit] > plans[plan][limit]]
    return min(larger, key=lambda name: (plans[name][limit], *plans[name].values(), name), default=None)


def _value(documents: PolicySet, plan: str, name: str) -> float:
    for document in documents.chain("plan", plan):
        if name in document.settings:
            value = document.settings[name]
            return float(value) if isinstance(value, int) else math.inf
    return math.inf
