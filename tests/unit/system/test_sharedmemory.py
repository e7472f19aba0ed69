"""Slots and records in memory that forked processes share, processes that are killed included."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.system.sharedmemory import DIGEST_OCTETS, ForkLock, SharedRecords, SharedSlots


def forked(work: Callable[[], object]) -> int:
    """The pid of a child that does `work` and ends; 0 is success."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def slots() -> Iterator[SharedSlots]:
    made = SharedSlots(64, 4)
    yield made
    made.close()


def test_a_limit_holds_over_all_processes(slots: SharedSlots) -> None:
    def work(index: int) -> None:
        got = sum(slots.acquire(index, "10.0.0.1", 50) for _ in range(40))
        os._exit(got)

    codes = [ended(pid) for pid in [forked(lambda n=n: work(n)) for n in range(4)]]  # type: ignore[misc]
    assert sum(codes) == 50
    assert slots.count("10.0.0.1") == 50
    assert [slots.held_by(n) for n in range(4)] == codes
    assert not slots.acquire(0, "10.0.0.1", 50)
    assert slots.acquire(0, "10.0.0.2", 50)


def test_a_dead_process_gives_back_what_it_held(slots: SharedSlots) -> None:
    assert slots.acquire(0, "a", 2)
    pid = forked(lambda: (slots.acquire(1, "a", 2), os.kill(os.getpid(), signal.SIGKILL)))
    assert ended(pid) == -signal.SIGKILL
    assert not slots.acquire(0, "a", 2)
    slots.clear(1)
    assert slots.acquire(0, "a", 2)
    assert slots.count("a") == 2


def test_giving_back_what_is_not_held_changes_nothing(slots: SharedSlots) -> None:
    slots.release(0, "a")
    assert slots.acquire(1, "a", 1)
    slots.release(0, "a")
    assert slots.count("a") == 1
    slots.release(1, "a")
    assert slots.count("a") == 0


def test_a_full_table_refuses_and_never_mixes_keys() -> None:
    slots = SharedSlots(8, 1)
    held = [key for key in range(40) if slots.acquire(0, str(key), 1)]
    assert len(held) == 8
    assert all(slots.count(str(key)) == 1 for key in held)
    for key in held:
        slots.release(0, str(key))
    assert slots.acquire(0, "another", 1)
    slots.close()


def test_a_limit_of_nothing_admits_nobody(slots: SharedSlots) -> None:
    assert not slots.acquire(0, "a", 0)


@pytest.mark.parametrize(("buckets", "processes"), [(0, 1), (1, 0)])
def test_a_table_needs_room(buckets: int, processes: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        SharedSlots(buckets, processes)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["acquire", "release", "clear"]), st.integers(0, 2), st.integers(0, 5)),
        max_size=60,
    )
)
def test_slots_behave_as_a_dictionary_of_counters(steps: list[tuple[str, int, int]]) -> None:
    slots = SharedSlots(64, 3)
    model: Counter[tuple[int, int]] = Counter()
    try:
        for verb, process, key in steps:
            total = sum(model[p, key] for p in range(3))
            if verb == "acquire":
                assert slots.acquire(process, str(key), 3) == (total < 3)
                model[process, key] += total < 3
            elif verb == "release":
                slots.release(process, str(key))
                model[process, key] = max(0, model[process, key] - 1)
            else:
                slots.clear(process)
                model = Counter({at: n for at, n in model.items() if at[0] != process})
        assert all(slots.count(str(key)) == sum(model[p, key] for p in range(3)) for key in range(6))
    finally:
        slots.close()


def test_the_lock_of_a_killed_holder_is_free() -> None:
    lock = ForkLock()
    reads, writes = os.pipe()

    def work() -> None:
        with lock:
            os.write(writes, b"held")
            time.sleep(60)

    pid = forked(work)
    assert os.read(reads, 4) == b"held"
    os.kill(pid, signal.SIGKILL)
    with lock:
        assert ended(pid) == -signal.SIGKILL
    os.close(reads)
    os.close(writes)
    lock.close()


def digest(number: int) -> bytes:
    return number.to_bytes(8, "little") + bytes(DIGEST_OCTETS - 8)


def test_records_are_kept_replaced_and_forgotten() -> None:
    records = SharedRecords(16, 4)
    assert records.get(digest(1)) is None
    records.put(digest(1), b"abcd", 5)
    records.put(digest(17), b"efgh", 6)
    assert (records.get(digest(1)), records.get(digest(17))) == (b"abcd", b"efgh")
    records.put(digest(1), b"ijkl", 7)
    assert records.get(digest(1)) == b"ijkl"
    records.remove(digest(1))
    assert records.get(digest(1)) is None
    assert records.get(digest(17)) == b"efgh"
    records.close()


def test_a_full_stretch_forgets_the_least_used() -> None:
    records = SharedRecords(4, 4)
    for number in range(4):
        records.put(digest(number), b"data", 10 + number)
    records.put(digest(0), b"data", 50)
    records.put(digest(9), b"data", 60)
    assert records.get(digest(1)) is None
    assert all(records.get(digest(number)) for number in (0, 2, 3, 9))
    records.close()


@given(st.integers(1, 39))
def test_a_half_written_record_counts_as_absent(octets: int) -> None:
    records = SharedRecords(1, 16)
    records.put(digest(1), b"x" * 16, 1)
    memory = records._memory
    whole = memory[:]
    records.put(digest(2), b"y" * 16, 2)
    memory[octets:] = whole[octets:]
    found = records.get(digest(2))
    assert found in (None, b"y" * 16)
    assert records.get(digest(1)) is None or octets < DIGEST_OCTETS
    records.put(digest(2), b"z" * 16, 3)
    assert records.get(digest(2)) == b"z" * 16
    records.close()


def test_writers_that_are_killed_leave_whole_records_only() -> None:
    records = SharedRecords(8, 32)

    def work(fill: int) -> None:
        while True:
            with records.lock:
                records.put(digest(fill), bytes([fill]) * 32, fill)

    for round_ in range(10):
        pids = [forked(lambda n=n: work(n)) for n in (1, 2, 3)]  # type: ignore[misc]
        while not all(records.get(digest(n)) for n in (1, 2, 3)):
            time.sleep(0.001)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert [ended(pid) for pid in pids] == [-signal.SIGKILL] * 3
        with records.lock:
            for number in (1, 2, 3):
                assert records.get(digest(number)) in (None, bytes([number]) * 32), f"round {round_}"
                records.remove(digest(number))
    records.close()
