"""Raised limits over an effective policy: only upwards, never above the plan, never for ever."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.policies.effective import EffectivePolicy, Limit, ScopeLimits
from gateway.control.raises.applied import with_raises
from gateway.control.records import RaiseRecord

NOW = 1_800_000_000.0
VALUES = st.one_of(st.none(), st.integers(0, 20))
RAISES = st.builds(
    RaiseRecord,
    id=st.uuids().map(str),
    tenant_id=st.just("acme"),
    account_id=st.sampled_from([None, "bob", "ann"]),
    limits=st.dictionaries(
        st.sampled_from(["messages_per_day", "recipients_per_day"]), st.integers(0, 30), min_size=1
    ),
    until=st.floats(NOW - 5, NOW + 5),
)


def _policy(value: int | None) -> EffectivePolicy:
    limits = ScopeLimits(
        messages_per_day=Limit(value, "policy p"), recipients_per_day=Limit(value, "policy p")
    )
    return EffectivePolicy("p", 1, account=limits, tenant=limits)


def _number(value: int | None) -> float:
    return math.inf if value is None else value


@given(value=VALUES, most=VALUES, raises=st.lists(RAISES, max_size=5))
def test_the_highest_raise_that_holds_within_the_plan(
    value: int | None, most: int | None, raises: list[RaiseRecord]
) -> None:
    if _number(value) > _number(most):
        value = most  # what resolving documents has seen to
    ceiling = Limit(most, "plan q")
    policy, until = with_raises(_policy(value), raises, "bob", lambda key: ceiling, NOW)
    for scope, account in (("account", "bob"), ("tenant", None)):
        mine = [one for one in raises if one.until > NOW and one.account_id == account]
        for name in ("messages_per_day", "recipients_per_day"):
            limit: Limit = getattr(getattr(policy, scope), name)
            wanted = [_number(value)]
            wanted += [min(one.limits[name], _number(most)) for one in mine if name in one.limits]
            assert _number(limit.value) == max(wanted)
            assert limit.source.startswith("raise " if max(wanted) > _number(value) else "policy p")
    ends = [one.until for one in raises if one.until > NOW and one.account_id in (None, "bob")]
    assert until == min(ends, default=math.inf)


def test_a_policy_that_nothing_raises_is_the_same_object() -> None:
    policy = _policy(5)
    other = RaiseRecord("r", "acme", "ann", {"messages_per_day": 9}, NOW + 60)
    assert with_raises(policy, [other], "bob", lambda key: None, NOW) == (policy, math.inf)
    assert with_raises(policy, [other], "bob", lambda key: None, NOW)[0] is policy
