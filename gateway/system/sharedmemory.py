"""Numbers that the processes of one node share: anonymous memory made before the fork.

A process may be killed at any instruction. What it wrote stays, so every layout here is readable
after half a write, and the lock is one that the kernel gives back when its holder dies.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import threading
import zlib
from hashlib import blake2b
from types import TracebackType

_PROBES = 16
_MOST = 0xFFFF
DIGEST_OCTETS = 16


class ForkLock:
    """A lock between forked processes and between the threads of each.

    POSIX record locks belong to the process, so the kernel drops them when it dies, however it dies;
    they do not exclude threads of one process from each other, so a thread lock stands before them.
    Held for microseconds only: nobody may wait for anything else while holding it.
    """

    def __init__(self) -> None:
        self._threads = threading.Lock()
        self._fd = os.memfd_create("gatepost-lock", os.MFD_CLOEXEC)

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            self._lock_process()
        except BaseException:
            self._threads.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _lock_process(self) -> None:
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX)
                return
            except OSError as error:
                # The kernel looks for deadlocks between processes, not threads: two threads that hold two
                # different locks of this kind may look like one. Nobody holds two, so trying again is right.
                if error.errno != errno.EDEADLK:
                    raise

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


class SharedSlots:
    """How many of something each key has in all processes together, with a column for each process.

    Used for connections per address and for relay connections per shard and destination. A key takes one
    of `buckets` rows while it holds something; two keys never share a row. When a process dies, `clear`
    with its index gives back what it held. Make it before the fork; rows are found by a keyed digest, so
    nobody outside can aim at one row.
    """

    def __init__(self, buckets: int, processes: int) -> None:
        """`buckets`: about four times the number of keys ever held at once; `processes`: columns."""
        if buckets < 1 or processes < 1:
            raise ValueError("a table of slots needs at least one bucket and one process")
        self._buckets = buckets
        self._processes = processes
        self._lock = ForkLock()
        self._secret = os.urandom(16)
        self._memory = mmap.mmap(-1, buckets * 8 + buckets * processes * 2)
        whole = memoryview(self._memory)
        self._names = whole[: buckets * 8].cast("Q")
        self._columns = [
            whole[buckets * (8 + 2 * n) : buckets * (10 + 2 * n)].cast("H") for n in range(processes)
        ]
        whole.release()

    def acquire(self, process_index: int, key: str | bytes, limit: int) -> bool:
        """Take one for `key` unless all processes together hold `limit` (or the table is full)."""
        column = self._columns[process_index]
        name = self._name(key)
        with self._lock:
            row = self._find(name)
            if row is None:
                row = self._free(name)
                if row is None or limit < 1:
                    return False
                # The name first: a row with a name and no count is a free one, should we die here.
                self._names[row] = name
            elif self._held(row) >= limit or column[row] == _MOST:
                return False
            column[row] += 1
            return True

    def release(self, process_index: int, key: str | bytes) -> None:
        """Give one back; giving back what is not held changes nothing."""
        column = self._columns[process_index]
        name = self._name(key)
        with self._lock:
            row = self._find(name)
            if row is not None and column[row]:
                column[row] -= 1

    def count(self, key: str | bytes) -> int:
        """How many all processes hold for `key`."""
        name = self._name(key)
        with self._lock:
            row = self._find(name)
            return 0 if row is None else self._held(row)

    def held_by(self, process_index: int) -> int:
        """How many this process holds over all keys."""
        with self._lock:
            return sum(self._columns[process_index])

    def clear(self, process_index: int) -> None:
        """Forget all that a process held: called by the supervisor for a dead one."""
        with self._lock:
            column = self._columns[process_index]
            column[:] = memoryview(bytes(2 * self._buckets)).cast("H")

    def close(self) -> None:
        """Give the memory back."""
        self._names.release()
        for column in self._columns:
            column.release()
        self._memory.close()
        self._lock.close()

    def _name(self, key: str | bytes) -> int:
        octets = key.encode("utf-8", "surrogateescape") if isinstance(key, str) else key
        # Never 0, which is what an unused row holds.
        return int.from_bytes(blake2b(octets, digest_size=8, key=self._secret).digest(), "big") or 1

    def _rows(self, name: int) -> range:
        first = name % self._buckets
        return range(first, first + min(_PROBES, self._buckets))

    def _held(self, row: int) -> int:
        return sum([column[row] for column in self._columns])

    def _find(self, name: int) -> int | None:
        """The row in use under this name."""
        for place in self._rows(name):
            row = place % self._buckets
            if self._names[row] == name and self._held(row):
                return row
        return None

    def _free(self, name: int) -> int | None:
        for place in self._rows(name):
            row = place % self._buckets
            if not self._held(row):
                return row
        return None


class SharedRecords:
    """Small records under 16-octet digests, in a table that forgets the least used when it is full.

    A record ends in a checksum: one that was half written when its process was killed counts as absent.
    Callers hold `lock` around what they read and write, so that several steps can be one. Make it before
    the fork. Digests must come from a keyed hash: their first octets choose the place.
    """

    def __init__(self, records: int, payload_octets: int, lock: ForkLock | None = None) -> None:
        """`records`: how many fit; `payload_octets`: size of each; `lock`: one shared with other tables."""
        if records < 1:
            raise ValueError("a table of records needs room for at least one")
        self.lock = lock or ForkLock()
        self._records = records
        self._layout = struct.Struct(f"<{DIGEST_OCTETS}sI{payload_octets}s")
        self._size = self._layout.size + 4
        self._memory = mmap.mmap(-1, records * self._size)

    def get(self, digest: bytes) -> bytes | None:
        """The payload kept under `digest`, or None."""
        for offset in self._offsets(digest):
            found = self._read(offset)
            if found is not None and found[0] == digest:
                return found[2]
        return None

    def put(self, digest: bytes, payload: bytes, used_at: int) -> None:
        """Keep `payload` under `digest`; in a full stretch the record with the smallest `used_at` goes.

        `used_at`: whole seconds, 0 to 2**32 - 1, of any clock that all processes share.
        """
        record = self._layout.pack(digest, used_at, payload)
        offset = self._place(digest)
        self._memory[offset : offset + self._size] = record + zlib.crc32(record).to_bytes(4, "little")

    def remove(self, digest: bytes) -> None:
        """Forget what is kept under `digest`, if anything is."""
        for offset in self._offsets(digest):
            found = self._read(offset)
            if found is not None and found[0] == digest:
                self._memory[offset : offset + self._size] = bytes(self._size)

    def close(self) -> None:
        """Give the memory back; the lock stays, others may use it."""
        self._memory.close()

    def _offsets(self, digest: bytes) -> list[int]:
        first = int.from_bytes(digest[:8], "little") % self._records
        return [
            (first + step) % self._records * self._size for step in range(min(_PROBES // 2, self._records))
        ]

    def _read(self, offset: int) -> tuple[bytes, int, bytes] | None:
        record = self._memory[offset : offset + self._size]
        if zlib.crc32(record[:-4]) != int.from_bytes(record[-4:], "little"):
            return None
        found: tuple[bytes, int, bytes] = self._layout.unpack_from(record)
        return found

    def _place(self, digest: bytes) -> int:
        """Where the record stands, else the first empty place, else that of the least used one."""
        empty: int | None = None
        oldest: tuple[int, int] | None = None
        for offset in self._offsets(digest):
            found = self._read(offset)
            if found is None:
                empty = offset if empty is None else empty
            elif found[0] == digest:
                return offset
            elif oldest is None or found[1] < oldest[0]:
                oldest = (found[1], offset)
        if empty is not None:
            return empty
        assert oldest is not None, "a stretch without an empty place is full of records"
        return oldest[1]
