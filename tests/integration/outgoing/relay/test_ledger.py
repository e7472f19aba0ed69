"""The ledger of final dots: what a worker that was killed leaves behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gateway.outgoing.relay.ledger import DotLedger, DotMark, LedgerFull, dead_ledgers

ONE, TWO = "1" * 26, "2" * 26


def test_what_is_marked_and_not_cleared_is_found_after_the_worker_was_killed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        ledger = DotLedger(tmp_path, "worker-1")
        ledger.clear(ledger.mark(ONE, [(1, 1)]))
        ledger.mark(TWO, [(n, 3) for n in range(1, 101)])
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
    os.read(reader, 1)
    assert dead_ledgers(tmp_path) == ()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    [dead] = dead_ledgers(tmp_path)
    assert dead.incarnation == "worker-1"
    assert dead.is_whole
    assert dead.marks == tuple(DotMark(TWO, n, 3) for n in range(1, 101))
    dead.forget()
    assert dead_ledgers(tmp_path) == ()
    os.close(reader)
    os.close(writer)


def test_a_clean_end_leaves_nothing_and_an_unclean_one_leaves_the_marks(tmp_path: Path) -> None:
    ledger = DotLedger(tmp_path, "clean")
    ledger.clear(ledger.mark(ONE, [(1, 1)]))
    ledger.close()
    assert list(tmp_path.iterdir()) == []
    ledger = DotLedger(tmp_path, "unclean")
    ledger.mark(ONE, [(2, 1)])
    ledger.close()
    [dead] = dead_ledgers(tmp_path)
    assert dead.marks == (DotMark(ONE, 2, 1),)


def test_after_another_boot_the_marks_are_not_all_there_may_have_been(tmp_path: Path) -> None:
    ledger = DotLedger(tmp_path, "before", boot_id=lambda: "boot-1")
    ledger.mark(ONE, [(1, 1)])
    ledger.close()
    assert dead_ledgers(tmp_path, lambda: "boot-1")[0].is_whole
    assert not dead_ledgers(tmp_path, lambda: "boot-2")[0].is_whole


def test_a_file_cut_short_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "dots-half.ledger").write_bytes(b"GPDOTS1\nha")
    (tmp_path / "dots-empty.ledger").write_bytes(b"")
    (tmp_path / "other.txt").write_bytes(b"not ours")
    assert [(dead.incarnation, dead.is_whole) for dead in dead_ledgers(tmp_path)] == [
        ("empty", False),
        ("half", False),
    ]


def test_without_a_free_slot_no_dot_may_be_written(tmp_path: Path) -> None:
    ledger = DotLedger(tmp_path, "small", slots=2)
    first = ledger.mark(ONE, [(1, 1)])
    ledger.mark(TWO, [(1, 1)])
    assert ledger.room == 0
    with pytest.raises(LedgerFull):
        ledger.mark(ONE, [(2, 1)])
    ledger.clear(first)
    assert ledger.mark(ONE, [(2, 1)]) == first
    ledger.close()


def test_a_name_is_used_once(tmp_path: Path) -> None:
    ledger = DotLedger(tmp_path, "once")
    with pytest.raises(FileExistsError):
        DotLedger(tmp_path, "once")
    ledger.close()
