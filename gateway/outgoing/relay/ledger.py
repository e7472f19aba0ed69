"""Which transactions are past their final dot without a recorded outcome: what a crash may repeat.

A small file for each worker incarnation, mapped into memory: a mark is one store into the page
cache, which outlives the process (not the machine: after power loss every owned row counts). The
next start reads what a dead worker left; a lock on the file tells the living from the dead.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"GPDOTS1\n"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_HEAD_OCTETS = 512
_SLOT_OCTETS = 512
_FIXED = struct.Struct("<26sH")
_PAIR = struct.Struct("<HH")
_MOST_PAIRS = (_SLOT_OCTETS - 1 - _FIXED.size) // _PAIR.size
_SUFFIX = ".ledger"
_PREFIX = "dots-"


class LedgerFull(Exception):
    """No slot is free: too many outcomes wait to be recorded. No final dot may be written."""


@dataclass(frozen=True, slots=True)
class DotMark:
    """Recipient `n` of a message, in its attempt number `attempt`, may have been delivered."""

    message_id: str
    n: int
    attempt: int


class DotLedger:
    """This worker's marks. One slot holds one transaction of up to 100 recipients."""

    def __init__(
        self, run_dir: Path, incarnation: str, slots: int = 2048, boot_id: Callable[[], str] | None = None
    ) -> None:
        """Make the file `dots-<incarnation>.ledger`. Raises OSError."""
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = run_dir / f"{_PREFIX}{incarnation}{_SUFFIX}"
        draft = run_dir / f".{self._path.name}.new"
        size = _HEAD_OCTETS + slots * _SLOT_OCTETS
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # It gets its name only when it is locked: an unlocked one is taken for a dead worker's.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Real blocks, not a hole: a full disk must show here and not as SIGBUS at the first mark.
            os.posix_fallocate(self._file, 0, size)
            self._memory = mmap.mmap(self._file, size)
            head = _MAGIC + f"{incarnation}\n{(boot_id or this_boot)()}\n".encode()
            self._memory[: len(head)] = head
            self._path.hardlink_to(draft)
        except OSError:
            os.close(self._file)
            raise
        finally:
            draft.unlink()
        self._free = list(range(slots - 1, -1, -1))

    @property
    def room(self) -> int:
        """How many slots are free."""
        return len(self._free)

    def mark(self, message_id: str, recipients: Sequence[tuple[int, int]]) -> int:
        """The final dot is about to be written for these (n, attempt); returns the slot.

        Raises LedgerFull.
        """
        if not self._free or len(recipients) > _MOST_PAIRS:
            raise LedgerFull("too many outcomes wait to be recorded")
        slot = self._free.pop()
        start = _HEAD_OCTETS + slot * _SLOT_OCTETS
        pairs = b"".join([_PAIR.pack(n, min(attempt, 0xFFFF)) for n, attempt in recipients])
        record = _FIXED.pack(message_id.encode("ascii"), len(recipients)) + pairs
        self._memory[start + 1 : start + 1 + len(record)] = record
        # Last: a mark counts only when it is whole.
        self._memory[start] = 1
        return slot

    def clear(self, slot: int) -> None:
        """The outcome of this slot's transaction is recorded."""
        self._memory[_HEAD_OCTETS + slot * _SLOT_OCTETS] = 0
        self._free.append(slot)

    def close(self) -> None:
        """Give the file back; it is removed unless a mark is left in it."""
        marked = next(_marks(self._memory), None) is not None
        self._memory.close()
        if not marked:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class DeadLedger:
    """What a worker that is gone left behind. `forget` it only after its rows were recovered."""

    path: Path
    incarnation: str
    marks: tuple[DotMark, ...]
    is_whole: bool
    """Whether `marks` are all there were; if not, every attempt of this worker may have been past its dot."""

    def forget(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def dead_ledgers(run_dir: Path, boot_id: Callable[[], str] | None = None) -> tuple[DeadLedger, ...]:
    """The ledgers in `run_dir` whose worker no longer lives. A file that is none of ours is left alone."""
    found = []
    for path in sorted(run_dir.glob(f"{_PREFIX}*{_SUFFIX}")):
        ledger = _read_dead(path, boot_id)
        if ledger is not None:
            found.append(ledger)
    return tuple(found)


def _read_dead(path: Path, boot_id: Callable[[], str] | None) -> DeadLedger | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        octets = file.read()
    named = path.name[len(_PREFIX) : -len(_SUFFIX)]
    magic, _, head = octets[:_HEAD_OCTETS].partition(b"\n")
    if magic + b"\n" != _MAGIC or head.count(b"\n") < 2:
        # Its worker died while making it and had marked nothing; or the machine did, and nobody knows.
        return DeadLedger(path, named, (), is_whole=False)
    incarnation, boot, _ = head.decode("utf-8", "replace").split("\n", 2)
    return DeadLedger(path, incarnation, tuple(_marks(octets)), is_whole=boot == (boot_id or this_boot)())


def this_boot() -> str:
    """What names the time since the machine was started; "" if it cannot be had."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _marks(octets: bytes | mmap.mmap) -> Iterator[DotMark]:
    for start in range(_HEAD_OCTETS, len(octets) - _SLOT_OCTETS + 1, _SLOT_OCTETS):
        if octets[start] != 1:
            continue
        record = octets[start + 1 : start + _SLOT_OCTETS]
        message_id, count = _FIXED.unpack_from(record)
        for index in range(min(count, _MOST_PAIRS)):
            n, attempt = _PAIR.unpack_from(record, _FIXED.size + index * _PAIR.size)
            yield DotMark(message_id.decode("ascii", "replace"), n, attempt)
