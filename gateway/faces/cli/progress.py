"""How far long work is: one line on stderr that is written over."""

from __future__ import annotations

import sys


class Progress:
    """Tells people on a terminal, or whoever asked for it, how much of `total` is done."""

    def __init__(self, what: str, total: int, wanted: bool | None) -> None:
        """`wanted` None: only on a terminal."""
        self._what = what
        self._total = total
        self._is_shown = sys.stderr.isatty() if wanted is None else wanted

    def at(self, done: int) -> None:
        """So much is done."""
        if self._is_shown:
            end = "\n" if done >= self._total else ""
            sys.stderr.write(f"\r{self._what}: {done} of {self._total}{end}")
            sys.stderr.flush()
