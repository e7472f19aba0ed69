"""Places for deliveries: nobody's slow receivers take another's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.webhooks.slots import Limits, Slots

LIMITS = Limits(total=10, troubled=4, tenant=6, webhook=3)


def fill(slots: Slots, webhook_id: str, tenant_id: str, first: int) -> int:
    """Start what may start; how many that were."""
    count = 0
    while slots.free(webhook_id, tenant_id):
        slots.take(first + count, webhook_id, tenant_id)
        count += 1
    return count


def test_a_webhook_and_a_tenant_have_an_end() -> None:
    slots = Slots(LIMITS)
    assert [fill(slots, f"w{n}", "t", 100 * n) for n in range(3)] == [3, 3, 0]
    assert [fill(slots, f"v{n}", "u", 1000 + 100 * n) for n in range(3)] == [3, 1, 0]
    assert len(slots) == 10


def test_a_troubled_webhook_has_one_place_until_it_does_well() -> None:
    slots = Slots(LIMITS)
    slots.take(1, "w", "t")
    slots.give_back(1, smooth=False)
    assert fill(slots, "w", "t", 10) == 1
    slots.give_back(10, smooth=True)
    assert fill(slots, "w", "t", 20) == 3


def test_all_troubled_webhooks_together_leave_room_for_others() -> None:
    slots = Slots(LIMITS)
    for n in range(20):
        slots.take(n, f"w{n}", f"t{n}")
        slots.give_back(n, smooth=False)
    assert sum(fill(slots, f"w{n}", f"t{n}", 100 + n) for n in range(20)) == 4
    assert fill(slots, "good", "other", 500) == 3


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=80))
def test_what_is_given_back_is_free_again(steps: list[tuple[int, bool, bool]]) -> None:
    slots, running, number = Slots(LIMITS), [], 0
    for webhook, starts, smooth in steps:
        name, tenant = f"w{webhook}", f"t{webhook % 2}"
        if starts and slots.free(name, tenant):
            number += 1
            slots.take(number, name, tenant)
            running.append(number)
        elif not starts and running:
            slots.give_back(running.pop(0), smooth=smooth)
        assert len(slots) == len(running) <= LIMITS.total
    for one in running:
        slots.give_back(one, smooth=True)
    assert len(slots) == 0
    assert all(slots.taken_by(f"w{n}") == 0 for n in range(6))
    assert slots.free("fresh", "fresh") == LIMITS.webhook
