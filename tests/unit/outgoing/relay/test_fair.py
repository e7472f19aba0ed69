"""The fair queue: nothing lost, nobody starved, shares by weight, shut gates out of the way."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.outgoing.relay.fair import FairQueue, Place

TENANTS = st.sampled_from(["a", "b", "c"])
STREAMS = st.sampled_from(["transactional", "marketing"])
GATES = st.sampled_from(["g1", "g2", "g3"])
LANES = st.integers(0, 2)


def place(
    tenant: str = "a", stream: str = "default", gate: str = "g", lane: object = 0, **weights: int
) -> Place:
    return Place(tenant, stream, gate, lane, **weights)


def drain(queue: FairQueue[object], most: int = 10_000) -> list[object]:
    taken: list[object] = []
    while len(taken) < most and (item := queue.pop()) is not None:
        taken.append(item)
    return taken


def test_one_message_does_not_wait_behind_a_hundred_thousand_of_another_tenant() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100_000):
        queue.push(place("big"), "big")
    queue.pop()
    queue.push(place("small"), "small")
    assert "small" in [queue.pop() for _ in range(2)]


def test_tenants_are_served_by_weight() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(400):
        queue.push(place("heavy", tenant_weight=3), "heavy")
        queue.push(place("light"), "light")
    served = Counter(queue.pop() for _ in range(400))
    assert abs(served["heavy"] - 300) <= 2


def test_streams_are_served_by_weight_even_if_they_share_one_connection() -> None:
    """One connection: the gate opens for one item at a time, so that every item is a fresh decision."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(220):
        queue.push(place(stream="transactional", stream_weight=10), "transactional")
        queue.push(place(stream="marketing"), "marketing")
    served: Counter[str | None] = Counter()
    for _ in range(220):
        queue.unshut("g")
        served[queue.pop()] += 1
        queue.shut("g")
    assert abs(served["transactional"] - 200) <= 2


def test_tenants_that_share_a_gate_take_turns_at_it() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push(place("a"), "a")
        queue.push(place("b"), "b")
    served: Counter[str | None] = Counter()
    for _ in range(100):
        queue.unshut("g")
        served[queue.pop()] += 1
        queue.shut("g")
    assert served == {"a": 50, "b": 50}


def test_one_who_always_has_just_one_waiting_does_not_jump_the_queue() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push(place("steady"), "steady")
    served: Counter[str | None] = Counter()
    for _ in range(100):
        queue.push(place("trickle"), "trickle")
        served[queue.pop()] += 1
    assert abs(served["steady"] - 50) <= 1


def test_lanes_take_turns_and_keep_their_order() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(3):
        for lane in range(3):
            queue.push(place(lane=lane), (lane, number))
    assert drain(queue) == [(lane, number) for number in range(3) for lane in range(3)]


def test_a_shut_gate_never_stands_in_the_way() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(10):
        queue.push(place(gate="slow", lane=number), "slow")
    queue.push(place(gate="quick"), "quick")
    queue.shut("slow")
    assert drain(queue) == ["quick"]
    queue.unshut("slow")
    assert len(drain(queue)) == 10


def test_what_is_pushed_to_a_shut_gate_waits() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.shut("g")
    queue.push(place(), "later")
    assert queue.pop() is None
    assert queue.waits_at("g")
    queue.unshut("g")
    assert queue.pop() == "later"
    assert not queue.waits_at("g")


def test_what_was_taken_too_early_goes_back_to_the_front() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(3):
        queue.push(place(), number)
    first = queue.pop()
    assert first is not None
    queue.push(place(), first, first=True)
    assert drain(queue) == [0, 1, 2]


def test_a_refused_tenant_keeps_its_place_and_others_are_served() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(3):
        queue.push(place("full"), "full")
        queue.push(place("free"), "free")
    assert [queue.pop(lambda tenant: tenant != "full") for _ in range(4)] == ["free"] * 3 + [None]
    assert drain(queue) == ["full"] * 3


def test_take_gate_takes_all_of_it_and_nothing_else() -> None:
    queue: FairQueue[str] = FairQueue()
    for tenant in ("a", "b"):
        for stream in ("x", "y"):
            queue.push(place(tenant, stream, "down"), f"{tenant}{stream}")
    queue.push(place("a", gate="up"), "up")
    queue.shut("down")
    assert sorted(queue.take_gate("down")) == ["ax", "ay", "bx", "by"]
    assert len(queue) == 1
    queue.unshut("down")
    assert drain(queue) == ["up"]


def test_tenants_that_have_gone_are_forgotten_in_the_end() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(20_000):
        queue.push(place(f"tenant-{number}"), number)
        assert queue.pop() == number
    assert len(queue._tenants) <= 4096


class FairModel(RuleBasedStateMachine):
    """Against a naive model: the same items in each lane, in the same order, only from open gates."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[tuple[object, int]] = FairQueue()
        self.lanes: dict[tuple[str, str, str, int], deque[int]] = {}
        self.shut: set[str] = set()
        self.serial = 0

    def waiting(self, *, only_open: bool = False) -> int:
        return sum(len(items) for key, items in self.lanes.items() if not (only_open and key[2] in self.shut))

    @rule(
        tenant=TENANTS, stream=STREAMS, gate=GATES, lane=LANES, weight=st.integers(1, 5), first=st.booleans()
    )
    def push(self, tenant: str, stream: str, gate: str, lane: int, weight: int, first: bool) -> None:
        key = (tenant, stream, gate, lane)
        self.serial += 1
        self.queue.push(Place(tenant, stream, gate, lane, weight, weight), (key, self.serial), first=first)
        items = self.lanes.setdefault(key, deque())
        if first:
            items.appendleft(self.serial)
        else:
            items.append(self.serial)

    @rule(refused=st.sets(TENANTS))
    def pop(self, refused: set[str]) -> None:
        item = self.queue.pop((lambda tenant: tenant not in refused) if refused else None)
        if item is None:
            assert not any(
                items and key[2] not in self.shut and key[0] not in refused
                for key, items in self.lanes.items()
            )
            return
        key, serial = item
        assert key[2] not in self.shut  # type: ignore[index]
        assert key[0] not in refused  # type: ignore[index]
        assert self.lanes[key].popleft() == serial  # type: ignore[index]

    @rule(gate=GATES)
    def shut_gate(self, gate: str) -> None:
        self.queue.shut(gate)
        self.shut.add(gate)

    @rule(gate=GATES)
    def unshut_gate(self, gate: str) -> None:
        self.queue.unshut(gate)
        self.shut.discard(gate)

    @rule(gate=GATES)
    def take_gate(self, gate: str) -> None:
        taken = {serial for _, serial in self.queue.take_gate(gate)}
        expected = {serial for key, items in self.lanes.items() if key[2] == gate for serial in items}
        assert taken == expected
        self.lanes = {key: items for key, items in self.lanes.items() if key[2] != gate}

    @invariant()
    def sizes_agree(self) -> None:
        assert len(self.queue) == self.waiting()
        assert sum(count for _, count in self.queue.lanes()) == self.waiting()

    def teardown(self) -> None:
        for gate in list(self.shut):
            self.unshut_gate(gate)
        assert len(drain(self.queue)) == self.waiting()


FairModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFairModel = FairModel.TestCase
