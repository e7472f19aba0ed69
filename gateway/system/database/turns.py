"""Taking turns at an SQLite file: a lock file of ours, waited for before BEGIN IMMEDIATE.

SQLite's own busy handler sleeps and retries, and makes some writers wait for more than a second where
waiting in the kernel takes 10 ms at the longest. Checkpoints take the same turn, so that writer and
checkpointer never meet (SQLite before 3.51.3 has a WAL-reset bug there).
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WriterTurns:
    """One object's place in the queue of an SQLite file's writers, of this and other processes.

    Each object opens the lock file for itself: flock(2) belongs to the open file, so that two objects in
    one process exclude each other as well. Threads that share an object wait on a lock in memory.
    """

    def __init__(self, path: Path) -> None:
        """`path` is the lock file; it is made with mode 0600, and never removed: that would free it."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._owner: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for our turn, have it, and give it up.

        Raises RuntimeError if this thread already has it: waiting for oneself would never end.
        """
        if self._owner == threading.get_ident():
            raise RuntimeError("a write transaction was opened inside another one of the same thread")
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
