"""When a domain is looked at next: never sooner than what was seen can change, and never forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.schedule import backoff, next_look
from gateway.control.domains.watch.states import Timing
from gateway.control.domains.watch.values import RecordMemory

NOW = 1_800_000_000.0
T = Timing()
PROOF = RecordView("_gatepost-challenge.acme.test", "TXT", "x", "ownership")
KEY = RecordView("s1._domainkey.acme.test", "TXT", "k", "dkim")
DMARC = RecordView("_dmarc.acme.test", "TXT", "d", "dmarc", required=False)
RIGHT = RecordMemory("valid", "everywhere")
MISSING = RecordMemory("missing")


def late(seconds: float) -> RecordMemory:
    return RecordMemory("valid", "authority", again_at=NOW + seconds)


def planned(*pairs: tuple[RecordView, RecordMemory], state: str = "pending", looks: int = 0, random: float = 0.0) -> float:  # fmt: skip
    plan = next_look(state, pairs, looks=looks, now=NOW, timing=T, random=lambda: random)
    assert plan.at is not None
    return plan.at - NOW


def test_a_minute_then_twice_as_long_each_time_up_to_an_hour() -> None:
    waits = [planned((PROOF, MISSING), looks=looks) for looks in range(9)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert planned((PROOF, MISSING), random=1.0) == pytest.approx(66)


def test_hourly_where_nothing_is_waited_for() -> None:
    assert planned((PROOF, RIGHT), (KEY, RIGHT), (DMARC, MISSING), state="active", looks=40) == 3600


def test_the_resolvers_answer_is_waited_for_as_long_as_it_holds() -> None:
    assert planned((PROOF, RIGHT), (KEY, late(1_234))) == 1_234
    assert planned((PROOF, late(50)), (KEY, late(1_234))) == 50
    assert planned((PROOF, late(-5))) == 1
    assert planned((PROOF, late(900)), (KEY, MISSING), looks=2) == 240


def test_what_is_waited_for_is_said() -> None:
    plan = next_look("pending", [(PROOF, MISSING), (KEY, late(9))], looks=0, now=NOW, timing=T, random=lambda: 0.0)  # fmt: skip
    assert plan.reason == "Not as it should be yet: TXT _gatepost-challenge.acme.test."
    plan = next_look("verifying", [(PROOF, RIGHT), (KEY, late(9))], looks=0, now=NOW, timing=T, random=lambda: 0.0)  # fmt: skip
    assert plan.reason is not None
    assert "resolvers still have an older answer: TXT s1._domainkey.acme.test" in plan.reason
    assert (
        next_look("active", [(PROOF, RIGHT)], looks=0, now=NOW, timing=T, random=lambda: 0.0).reason is None
    )


def test_an_expired_claim_is_not_looked_at_by_itself() -> None:
    assert next_look("expired", [(PROOF, MISSING)], looks=0, now=NOW, timing=T, random=lambda: 0.0).at is None


@given(st.integers(0, 10_000))
def test_waits_grow_and_are_bounded(looks: int) -> None:
    assert T.first <= backoff(looks, T) <= backoff(looks + 1, T) <= T.longest


@given(
    st.lists(st.tuples(st.sampled_from([PROOF, KEY, DMARC]), st.sampled_from([RIGHT, MISSING]) | st.floats(0, 9e5).map(late)), max_size=5),
    st.integers(0, 100),
    st.floats(0, 1),
)  # fmt: skip
def test_never_sooner_than_anything_can_change(
    pairs: list[tuple[RecordView, RecordMemory]], looks: int, random: float
) -> None:
    wait = planned(*pairs, looks=looks, random=random)
    assert wait >= 0.999
    changes = [memory.again_at - NOW for record, memory in pairs if record.required and memory.again_at]
    if any(record.required and memory.state != "valid" for record, memory in pairs):
        changes.append(60.0)
    if changes:
        assert wait >= min(changes) - 0.001
    assert wait <= max(T.longest * 1.1, *changes, 0)
