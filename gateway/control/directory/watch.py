"""The thread that asks the control database for its revision, several times a second."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from gateway.system.database import DatabaseAway


class HeadWatch:
    """Calls `step` every `interval_seconds`, or at once when woken, until stopped; errors do not end it.

    `step` must be quick and raises DatabaseAway when the database is; anything else it raises is a fault
    in this program, logged as one, and tried again too: a directory that stopped listening would obey
    no revocation, and its growing staleness closes the doors meanwhile.
    """

    def __init__(self, step: Callable[[], None], interval_seconds: float) -> None:
        self._step = step
        self._interval_seconds = interval_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._log = structlog.get_logger("gateway.control.directory")

    def start(self) -> None:
        """Start the thread; after the fork only."""
        self._thread = threading.Thread(target=self._run, name="directory", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask now: a hint that something changed. From any thread."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval_seconds)
            self._wake.clear()
            if self._stopping.is_set():
                return
            self._try()

    def _try(self) -> None:
        try:
            self._step()
        except DatabaseAway as error:
            if not self._failing:
                self._log.warning("control_database_away", error=str(error))
            self._failing = True
        except Exception:  # noqa: BLE001 - see the class: this thread must outlive whatever goes wrong in a step
            if not self._failing:
                self._log.exception("directory_step_failed")
            self._failing = True
        else:
            if self._failing:
                self._log.info("control_database_back")
            self._failing = False
