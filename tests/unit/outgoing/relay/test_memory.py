"""The bounds of memory for hand-over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.relay.memory import MESSAGE_OVERHEAD_OCTETS as OVERHEAD
from gateway.outgoing.relay.memory import Budget

CALLS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60_000)), max_size=60)


def test_no_tenant_takes_the_last_room() -> None:
    budget = Budget(total_octets=100 * OVERHEAD, tenant_octets=100 * OVERHEAD)
    while budget.reserve("greedy", 0):
        pass
    assert budget.used == 50 * OVERHEAD
    assert budget.reserve("modest", 0)


def test_a_message_larger_than_the_bound_waits_on_disk() -> None:
    budget = Budget(total_octets=10_000_000, tenant_octets=1_000_000)
    assert not budget.reserve("a", 1_000_000)
    assert budget.used == 0


@given(calls=CALLS)
def test_bounds_hold_and_all_of_it_comes_back(calls: list[tuple[str, int]]) -> None:
    budget = Budget(total_octets=200_000, tenant_octets=120_000)
    held = [(tenant, octets) for tenant, octets in calls if budget.reserve(tenant, octets)]
    assert budget.used == sum(octets + OVERHEAD for _, octets in held) <= 200_000
    for tenant in "abc":
        assert sum(octets + OVERHEAD for name, octets in held if name == tenant) <= 120_000
    for tenant, octets in held:
        budget.release(tenant, octets)
    assert budget.used == 0
    assert budget.reserve("a", 90_000)
