"""Domains go from state to state by what was seen; what could not be seen takes nothing away."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.domains.view import RecordView
from gateway.control.domains.watch.states import Evidence, Timing, evidence_of, next_state
from gateway.control.domains.watch.values import RecordMemory

DAY = 86_400.0
T = Timing()
NOW = 1_800_000_000.0
NOTHING = Evidence(False, False)
UNKNOWN = Evidence(None, False)
PROVED = Evidence(True, False)
READY = Evidence(True, True)

PROOF = RecordView("_gatepost-challenge.acme.test", "TXT", "x", "ownership")
KEY = RecordView("s1._domainkey.acme.test", "TXT", "k", "dkim")
OTHER_KEY = replace(KEY, name="s2._domainkey.acme.test")
SHARD = RecordView("s1.acme.test", "CNAME", "t", "return-path")
RIGHT = RecordMemory("valid", "everywhere", was_valid=True)


def lost(days: float, *, sure: bool = True) -> Evidence:
    return Evidence(False, False, NOW - days * DAY, sure)


def after(state: str, evidence: Evidence, *, waited: float = 0.0, stayed: float = 99.0) -> str:
    """The state after a look now; days since the claim or its proof, and since it came to its state."""
    return next_state(
        state,
        evidence,
        state_at=NOW - stayed * DAY,
        waits_since=NOW - waited * DAY,
        now=NOW,
        timing=T,
    )


@pytest.mark.parametrize(
    ("state", "evidence", "expected"),
    [
        ("pending", NOTHING, "pending"),
        ("pending", UNKNOWN, "pending"),
        ("pending", PROVED, "verifying"),
        ("pending", READY, "active"),
        ("verifying", READY, "active"),
        ("verifying", PROVED, "verifying"),
        ("verifying", UNKNOWN, "verifying"),
        ("verifying", NOTHING, "pending"),
        ("expired", READY, "active"),
        ("active", NOTHING, "active"),
        ("active", lost(0.5), "active"),
        ("active", lost(1.0), "degraded"),
        ("active", lost(1.0, sure=False), "active"),
        ("active", lost(40.0), "degraded"),
        ("degraded", lost(29.0), "degraded"),
        ("degraded", lost(30.0), "suspended"),
        ("degraded", lost(99.0, sure=False), "degraded"),
        ("degraded", READY, "active"),
        ("suspended", lost(59.0), "suspended"),
        ("suspended", lost(60.0), "expired"),
        ("suspended", NOTHING, "active"),
    ],
)
def test_each_step(state: str, evidence: Evidence, expected: str) -> None:
    assert after(state, evidence) == expected


def test_a_claim_without_proof_expires_after_a_fortnight() -> None:
    assert after("pending", NOTHING, waited=13.9) == "pending"
    assert after("pending", NOTHING, waited=14) == "expired"
    assert after("pending", UNKNOWN, waited=13.9) == "pending"
    assert after("pending", UNKNOWN, waited=14) == "expired"
    assert after("verifying", UNKNOWN, waited=13.9) == "verifying"
    assert after("verifying", UNKNOWN, waited=14) == "pending"
    assert after("verifying", PROVED, waited=99) == "verifying"
    assert after("expired", NOTHING, waited=99) == "expired"


def test_evidence_of_records() -> None:
    late = replace(RIGHT, propagation="authority")
    gone = RecordMemory("missing", was_valid=True, lost_at=NOW - DAY, counts_at=NOW)
    waiting = replace(gone, counts_at=None)
    away = replace(gone, state="unreachable")
    assert evidence_of([(PROOF, RIGHT), (KEY, RIGHT)]) == READY
    assert evidence_of([(PROOF, RIGHT), (KEY, late)]) == PROVED
    assert evidence_of([(PROOF, RIGHT), (KEY, gone), (OTHER_KEY, RIGHT)]) == Evidence(True, True, NOW, True)
    assert evidence_of([(PROOF, RIGHT), (KEY, waiting), (OTHER_KEY, RIGHT)]) == READY
    assert evidence_of([(PROOF, RIGHT), (KEY, RIGHT), (SHARD, RecordMemory("missing"))]) == READY
    assert evidence_of([(PROOF, away), (KEY, RIGHT)]) == Evidence(None, False, NOW, False)
    assert evidence_of([(PROOF, RecordMemory("missing"))]) == NOTHING
    beside = replace(KEY, name="s1._domainkey.s1.acme.test", required=False)
    assert evidence_of([(PROOF, RIGHT), (KEY, RecordMemory("missing")), (beside, RIGHT)]) == PROVED
    platform = replace(SHARD, publisher="platform")
    assert evidence_of([(PROOF, RIGHT), (KEY, RIGHT), (platform, gone)]) == READY


_EVIDENCE = st.builds(
    Evidence,
    proved=st.sampled_from([True, False, None]),
    ready=st.booleans(),
    lost_at=st.none() | st.floats(NOW - 100 * DAY, NOW),
    is_sure=st.booleans(),
)
_STATES = st.sampled_from(["pending", "verifying", "active", "degraded", "suspended", "expired"])
_HELD = st.sampled_from(["active", "degraded", "suspended"])
_RANK = {"active": 0, "degraded": 1, "suspended": 2, "expired": 3}


@given(_STATES, _EVIDENCE, st.floats(0, 100))
def test_only_known_steps_are_made(state: str, evidence: Evidence, waited: float) -> None:
    new = after(state, evidence, waited=waited)
    steps = {
        "pending": {"verifying", "active", "expired"},
        "verifying": {"pending", "active"},
        "expired": {"verifying", "active"},
        "active": {"degraded"},
        "degraded": {"active", "suspended"},
        "suspended": {"active", "expired"},
    }
    assert new == state or new in steps[state]
    if new == "active" and state in ("pending", "verifying", "expired"):
        assert evidence.proved
        assert evidence.ready


@given(st.lists(st.tuples(_EVIDENCE, st.floats(0, 3 * DAY)), max_size=30), _HELD)
def test_silence_takes_nothing_away(looks: list[tuple[Evidence, float]], state: str) -> None:
    """Where no look is sure of anything, a domain that is held never gets worse."""
    now = NOW
    for evidence, seconds in looks:
        now += seconds
        silent = replace(evidence, proved=None, ready=False, is_sure=False)
        new = next_state(state, silent, state_at=NOW, waits_since=NOW, now=now, timing=T)
        assert _RANK.get(new, 0) <= _RANK.get(state, 0)
        state = new


@given(st.lists(st.tuples(_EVIDENCE, st.floats(60.0, 20 * DAY)), max_size=60))
def test_a_domain_spends_its_time_in_each_state_before_the_next(looks: list[tuple[Evidence, float]]) -> None:
    """Whatever is found and after however long a silence: a day, then 29 and 30 more, never minutes."""
    now = NOW
    path = [("active", now)]
    for evidence, seconds in looks:
        now += seconds
        state, entered = path[-1]
        new = next_state(state, evidence, state_at=entered, waits_since=now, now=now, timing=T)
        if new != state:
            path.append((new, now))
    least = {"suspended": T.suspend - T.grace, "expired": T.release - T.suspend}
    for (old, entered), (new, left) in itertools.pairwise(path):
        if new in least and old != "pending":
            assert (old, left - entered >= least[new]) == (_BEFORE[new], True)


_BEFORE = {"suspended": "degraded", "expired": "suspended"}


def test_a_loss_long_ago_that_is_only_seen_now_takes_the_states_one_by_one() -> None:
    state, entered, now = "active", NOW - 90 * DAY, NOW
    gone = lost(61.0)
    moved = []
    for _ in range(70 * 24):
        new = next_state(state, gone, state_at=entered, waits_since=now, now=now, timing=T)
        if new != state:
            state, entered = new, now
            moved.append((new, round((now - NOW) / DAY)))
        now += 3_600.0
    assert moved == [("degraded", 0), ("suspended", 29), ("expired", 59)]
