"""The rules against guessing, on counts alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.credentials.guessrules import (
    ADDRESS_DAY,
    ADDRESS_MINUTE,
    LONGEST_DELAY_SECONDS,
    NETWORK_DAY,
    NETWORK_MINUTE,
    PAIR,
    Counts,
    Origin,
    judge,
    origin_of,
    penalty_seconds,
)


def test_the_ceilings_are_the_documented_ones() -> None:
    assert (PAIR.most, PAIR.window.seconds) == (12, 120)
    assert (ADDRESS_MINUTE.most, ADDRESS_MINUTE.window.seconds) == (10, 60)
    assert (ADDRESS_DAY.most, ADDRESS_DAY.window.seconds) == (50, 86_400)
    assert NETWORK_MINUTE.most == 3 * ADDRESS_MINUTE.most
    assert NETWORK_DAY.most == 3 * ADDRESS_DAY.most


def test_a_first_attempt_is_free() -> None:
    assert judge(Counts()) == judge(Counts(trusted=True))
    assert judge(Counts()).delay_seconds == 0
    assert not judge(Counts()).denied


@pytest.mark.parametrize(
    ("counts", "rule"),
    [
        (Counts(pair=12), "login-and-address"),
        (Counts(pair=12, trusted=True), "login-and-address"),
        (Counts(address_minute=10), "address-minute"),
        (Counts(address_day=50), "address-day"),
        (Counts(network_minute=30), "network-minute"),
        (Counts(network_day=150), "network-day"),
    ],
)
def test_each_ceiling_denies_by_name(counts: Counts, rule: str) -> None:
    verdict = judge(counts)
    assert verdict.denied
    assert verdict.rule == rule


@pytest.mark.parametrize(
    "counts",
    [Counts(11), Counts(address_minute=9), Counts(address_day=49), Counts(network_minute=29)],
)
def test_one_below_a_ceiling_is_delayed_and_not_denied(counts: Counts) -> None:
    verdict = judge(counts)
    assert not verdict.denied
    assert verdict.delay_seconds > 0


@given(st.integers(0, 10_000))
def test_an_attack_on_a_login_from_everywhere_never_locks_it(login: int) -> None:
    verdict = judge(Counts(login=login))
    assert not verdict.denied
    assert verdict.delay_seconds <= LONGEST_DELAY_SECONDS
    assert (verdict.delay_seconds > 0) == (login > 12)


@given(st.builds(Counts, *[st.integers(0, 200)] * 6, trusted=st.just(True)))
def test_a_trusted_address_answers_for_its_own_failures_alone(counts: Counts) -> None:
    assert judge(counts) == judge(Counts(pair=counts.pair, trusted=True))


@given(st.builds(Counts, *[st.integers(0, 200)] * 6), st.integers(0, 5))
def test_one_more_failure_never_helps(counts: Counts, which: int) -> None:
    names = ("pair", "address_minute", "address_day", "network_minute", "network_day", "login")
    values = {name: getattr(counts, name) for name in names}
    before, after = judge(counts), judge(Counts(**{**values, names[which]: values[names[which]] + 1}))
    assert after.denied or (not before.denied and after.delay_seconds >= before.delay_seconds)


def test_the_delay_grows_from_two_to_fifteen_seconds() -> None:
    assert [penalty_seconds(n) for n in range(-1, 7)] == [0, 0, 2, 4, 8, 15, 15, 15]
    assert penalty_seconds(10**6) == 15


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.7", Origin(bytes([192, 0, 2, 7]), bytes([192, 0, 2]))),
        ("::ffff:192.0.2.7", Origin(bytes([192, 0, 2, 7]), bytes([192, 0, 2]))),
        ("2001:db8:1:2:3:4:5:6", Origin(bytes.fromhex("20010db800010002"), bytes.fromhex("20010db80001"))),
        ("fe80::1%eth0", Origin(bytes.fromhex("fe80000000000000"), bytes.fromhex("fe8000000000"))),
        ("", Origin(b"?", b"?")),
    ],
)
def test_what_an_address_counts_as(address: str, origin: Origin) -> None:
    assert origin_of(address) == origin
