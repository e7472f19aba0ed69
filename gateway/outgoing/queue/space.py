"""Room on the disk, and the size of SQLite's log."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.system.database import Database

_PASSIVE_BYTES = 8 * 1024 * 1024
_TRUNCATE_BYTES = 64 * 1024 * 1024
_TRUNCATE_AGAIN_SECONDS = 10.0
_COMMIT_BYTES = 32 * 1024


class FreeSpace:
    """Whether the disks may take another message. A system call of a microsecond or two."""

    def __init__(self, folders: Sequence[Path], floor_bytes: int) -> None:
        """`floor_bytes` must stay free in each folder: 1.5 times the largest message, and a reserve."""
        self._folders = tuple(folders)
        self._floor = floor_bytes

    def is_enough(self) -> bool:
        """False below the floor."""
        for folder in self._folders:
            status = os.statvfs(folder)
            if status.f_bavail * status.f_frsize < self._floor:
                return False
        return True


class LogKeeper:
    """Moves SQLite's write-ahead log into the file before it grows large.

    The log's file keeps its size when it is started anew, so what was written is counted here; the
    file's size only tells when it must be cut.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._log = None if database.path is None else database.path.with_name(database.path.name + "-wal")
        self._written = 0
        self._cut_at = 0.0

    def after_commit(self, octets: int) -> None:
        """Count a commit of about `octets` of content, and checkpoint if it is time. Raises DatabaseAway."""
        if self._log is None:
            return
        self._written += 2 * octets + _COMMIT_BYTES
        if self._written < _PASSIVE_BYTES:
            return
        self._written = 0
        cut = self._size() > _TRUNCATE_BYTES and time.monotonic() >= self._cut_at
        if cut:
            self._cut_at = time.monotonic() + _TRUNCATE_AGAIN_SECONDS
        self._database.checkpoint(truncate=cut)

    def _size(self) -> int:
        assert self._log is not None
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0
