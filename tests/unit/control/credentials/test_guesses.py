"""The node's counters against a naive model, and across processes that are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.control.credentials.guesses import GuessTable
from gateway.control.credentials.guessrules import DAY, MINUTE, SHORT, Counts, Window, judge
from gateway.system.clock import ManualClock

LOGINS = ("anna@example.com", "nobody@example.com")
ADDRESSES = ("192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1")
HOUSES = {a: i for i, a in enumerate(ADDRESSES[:4])} | {"2001:db8::ffff": 3, "2001:db8:0:1::1": 4}
NETWORKS = {"192.0.2.1": 0, "192.0.2.2": 0, "198.51.100.1": 1} | dict.fromkeys(ADDRESSES[3:], 2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def table(clock: ManualClock) -> Iterator[GuessTable]:
    made = GuessTable.create(clock, 1024)
    yield made
    made.close()


def guess(table: GuessTable, login: str, address: str, times: int, start: int = 0) -> None:
    for n in range(start, start + times):
        table.wrong(login, address, f"wrong-{n}")


def test_ten_a_minute_from_one_address_whatever_the_login(table: GuessTable, clock: ManualClock) -> None:
    for n in range(10):
        assert not table.check(f"login-{n}", "192.0.2.1").denied
        table.wrong(f"login-{n}", "192.0.2.1", "wrong")
    assert table.check("login-99", "192.0.2.1").rule == "address-minute"
    assert not table.check("login-99", "192.0.2.2").denied
    clock.advance(59)
    assert table.check("login-99", "192.0.2.1").denied
    clock.advance(7)
    assert not table.check("login-99", "192.0.2.1").denied


def test_twelve_in_two_minutes_for_a_login_from_an_address(table: GuessTable, clock: ManualClock) -> None:
    guess(table, "anna", "192.0.2.1", 6)
    clock.advance(66)
    guess(table, "anna", "192.0.2.1", 6, 6)
    assert table.check("anna", "192.0.2.1").rule == "login-and-address"
    assert not table.check("bert", "192.0.2.1").denied
    clock.advance(66)
    assert not table.check("anna", "192.0.2.1").denied


def test_fifty_a_day(table: GuessTable, clock: ManualClock) -> None:
    for n in range(50):
        assert not table.check(f"login-{n}", "192.0.2.1").denied
        table.wrong(f"login-{n}", "192.0.2.1", "wrong")
        clock.advance(600)
    assert table.check("another", "192.0.2.1").rule == "address-day"
    clock.advance(86_400)
    assert not table.check("another", "192.0.2.1").denied


def test_a_network_has_three_times_that(table: GuessTable) -> None:
    for n in range(30):
        assert not table.check("new", "192.0.2.250").denied
        table.wrong(f"login-{n}", f"192.0.2.{n}", "wrong")
    assert table.check("new", "192.0.2.250").rule == "network-minute"
    assert not table.check("new", "192.0.3.250").denied


def test_an_ipv6_client_cannot_hop_inside_its_64(table: GuessTable) -> None:
    for n in range(10):
        table.wrong(f"login-{n}", f"2001:db8::{n:x}", "wrong")
    assert table.check("new", "2001:db8::ffff").denied
    assert not table.check("new", "2001:db8:0:1::1").denied


def test_repeats_of_one_wrong_password_count_once(table: GuessTable) -> None:
    for _ in range(100):
        table.wrong("anna", "192.0.2.1", "an old password")
    assert table.check("anna", "192.0.2.1").delay_seconds == 0
    guess(table, "anna", "192.0.2.1", 9)
    assert table.check("anna", "192.0.2.1").denied


def test_who_got_in_is_exempt_from_others_for_a_day(table: GuessTable, clock: ManualClock) -> None:
    table.right("anna", "192.0.2.1")
    for n in range(30):
        table.wrong(f"login-{n}", "192.0.2.1", "wrong")
        table.wrong("anna", f"198.51.{n}.1", f"wrong-{n}")
    assert table.check("anna", "192.0.2.1").delay_seconds == 0
    assert table.check("bert", "192.0.2.1").denied
    assert table.check("anna", "203.0.113.1").delay_seconds > 0
    assert not table.check("anna", "203.0.113.1").denied
    guess(table, "anna", "192.0.2.1", 12, 100)
    assert table.check("anna", "192.0.2.1").rule == "login-and-address"
    clock.advance(86_400)
    for n in range(30):
        table.wrong(f"other-{n}", "192.0.2.1", "wrong")
    assert table.check("anna", "192.0.2.1").rule == "address-minute"


def test_getting_in_forgets_ones_own_failures(table: GuessTable) -> None:
    guess(table, "anna", "192.0.2.1", 9)
    assert table.check("anna", "192.0.2.1").delay_seconds > 0
    table.right("anna", "192.0.2.1")
    assert table.check("anna", "192.0.2.1").delay_seconds == 0


def test_a_full_table_still_counts_the_newest(clock: ManualClock) -> None:
    table = GuessTable.create(clock, 64)
    for n in range(500):
        table.wrong(f"login-{n}", f"10.{n % 250}.{n // 250}.1", "wrong")
        clock.advance(1)
    guess(table, "anna", "192.0.2.1", 10)
    assert table.check("anna", "192.0.2.1").denied
    table.close()


def test_counts_are_the_nodes_and_survive_a_killed_process(table: GuessTable) -> None:
    for n in range(10):
        pid = os.fork()
        if pid == 0:
            try:
                table.wrong("anna", "192.0.2.1", f"wrong-{n}")
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert table.check("anna", "192.0.2.1").denied


def test_no_login_address_or_password_stands_in_memory(table: GuessTable) -> None:
    table.wrong("anna@example.com", "192.0.2.1", "Abcdefghijklmnop12")
    table.right("anna@example.com", "192.0.2.1")
    memory = table._failures._memory[:] + table._trusted._memory[:]
    for secret in (b"anna", b"Abcdefgh", bytes([192, 0, 2, 1])):
        assert secret not in memory


class GuessMachine(RuleBasedStateMachine):
    """Every verdict lies between those of a model that forgets at once and one that forgets a slice late."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.table = GuessTable.create(self.clock, 4096)
        self.wrong_at: list[tuple[float, str, str]] = []
        self.cleared: dict[tuple[str, int], int] = {}
        self.right_at: dict[tuple[str, int], float] = {}
        self.seen: dict[tuple[str, str], float] = {}

    def teardown(self) -> None:
        self.table.close()

    @rule(
        login=st.sampled_from(LOGINS),
        address=st.sampled_from(ADDRESSES),
        first=st.integers(0, 60),
        times=st.integers(1, 14),
    )
    def guess(self, login: str, address: str, first: int, times: int) -> None:
        now = self.clock.monotonic()
        for n in range(first, first + times):
            self.table.wrong(login, address, f"wrong-{n}")
            if now - self.seen.get((login, f"wrong-{n}"), -1e9) >= 86_400:
                self.seen[login, f"wrong-{n}"] = now
                self.wrong_at.append((now, login, address))

    @rule(login=st.sampled_from(LOGINS), address=st.sampled_from(ADDRESSES))
    def get_in(self, login: str, address: str) -> None:
        self.table.right(login, address)
        self.right_at[login, HOUSES[address]] = self.clock.monotonic()
        self.cleared[login, HOUSES[address]] = len(self.wrong_at)

    @rule(seconds=st.sampled_from([1, 5, 30, 60, 120, 3600, 40_000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def counts(self, login: str, address: str, late: bool) -> Counts:
        now = self.clock.monotonic()
        house, network = HOUSES[address], NETWORKS[address]

        def count(window: Window, events: list[float]) -> int:
            kept = window.seconds + (window.slice_seconds if late else 0)
            return sum(now - at < kept for at in events)

        mine = [
            t
            for t, who, a in self.wrong_at[self.cleared.get((login, house), 0) :]
            if who == login and HOUSES[a] == house
        ]
        here = [t for t, _, a in self.wrong_at if HOUSES[a] == house]
        near = [t for t, _, a in self.wrong_at if NETWORKS[a] == network]
        over_all = [t for t, who, _ in self.wrong_at if who == login]
        return Counts(
            count(SHORT, mine),
            count(MINUTE, here),
            count(DAY, here),
            count(MINUTE, near),
            count(DAY, near),
            count(SHORT, over_all),
            now - self.right_at.get((login, house), -1e9) < 86_400,
        )

    @invariant()
    def verdicts_lie_between(self) -> None:
        for login in LOGINS:
            for address in ADDRESSES:
                found = self.table.check(login, address)
                low = judge(self.counts(login, address, late=False))
                high = judge(self.counts(login, address, late=True))
                assert low.denied <= found.denied <= high.denied
                if not found.denied:
                    assert low.delay_seconds <= found.delay_seconds
                    assert high.denied or found.delay_seconds <= high.delay_seconds


TestGuessMachine = GuessMachine.TestCase
TestGuessMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
