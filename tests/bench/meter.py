"""What a set of processes costs: CPU seconds with those of children already reaped, and memory shared out fairly."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

_TICK = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_SAMPLE_SECONDS = 0.5


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes and of the children they have reaped.

    Give whole trees: what a child used counts in itself while it lives and in its parent afterwards.
    """
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Fields 14 to 17 of proc(5); the name in brackets may hold anything.
        ticks += sum(map(int, stat.rpartition(b")")[2].split()[11:15]))
    return ticks / _TICK


def pss_megabytes(pids: Iterable[int]) -> float:
    """The proportional set size of the processes together: shared pages count once."""
    kilobytes = 0
    for pid in pids:
        try:
            found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        kilobytes += int(found[1]) if found else 0
    return kilobytes / 1024


class PeakMemory:
    """The highest PSS seen while inside `with`, looked at twice a second."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.megabytes = 0.0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, pss_megabytes(self._pids()))
            if self._ended.wait(_SAMPLE_SECONDS):
                return
