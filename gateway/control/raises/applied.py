"""An effective policy with the limits that are raised for a time. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from gateway.control.events.types import spelled_time
from gateway.control.policies.effective import EffectivePolicy, Limit, ScopeLimits
from gateway.control.records import RaiseRecord

Ceiling = Callable[[str], Limit | None]
"""By a limit's dotted key: what the tenant's plan sets."""


def with_raises(
    policy: EffectivePolicy, raises: Iterable[RaiseRecord], account_id: str, ceiling: Ceiling, now: float
) -> tuple[EffectivePolicy, float]:
    """What binds an account at `now`, and until when that holds (infinity: until something changes).

    Only limits that are lower are raised, and never above the plan's. Of several raises the highest holds.
    """
    until = math.inf
    account, tenant = policy.account, policy.tenant
    for one in raises:
        if one.until <= now or one.account_id not in (None, account_id):
            continue
        until = min(until, one.until)
        if one.account_id is None:
            tenant = _raised(tenant, one, "tenant", ceiling)
        else:
            account = _raised(account, one, "account", ceiling)
    if account is policy.account and tenant is policy.tenant:
        return policy, until
    return replace(policy, account=account, tenant=tenant), until


def _raised(limits: ScopeLimits, one: RaiseRecord, scope: str, ceiling: Ceiling) -> ScopeLimits:
    changed: dict[str, Limit] = {}
    for name, value in one.limits.items():
        current: Limit = getattr(limits, name)
        most = ceiling(f"limits.{scope}.{name}")
        bound = value if most is None or most.value is None else min(value, most.value)
        if current.value is not None and bound > current.value:
            changed[name] = Limit(bound, f"raise {one.id} until {spelled_time(one.until)}")
    return replace(limits, **changed) if changed else limits
