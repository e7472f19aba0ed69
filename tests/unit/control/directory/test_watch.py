"""The thread that asks for the revision outlives whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from gateway.control.directory.watch import HeadWatch
from gateway.system.database import DatabaseAway


class Steps:
    """A step that does one thing after the other, and says when it has done all."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self.left = list(steps)
        self.done = threading.Event()

    def __call__(self) -> None:
        if self.left:
            self.left.pop(0)()
        else:
            self.done.set()


def away() -> None:
    raise DatabaseAway("the control database is away")


def broken() -> None:
    raise KeyError("a fault of ours")


def test_errors_are_logged_once_and_it_goes_on() -> None:
    steps = Steps(away, away, broken, lambda: None, broken)
    with structlog.testing.capture_logs() as logs:
        watch = HeadWatch(steps, 0.001)
        watch.start()
        assert steps.done.wait(10)
        watch.stop()
    assert [line["event"] for line in logs] == [
        "control_database_away",
        "control_database_back",
        "directory_step_failed",
        "control_database_back",
    ]


def test_a_hint_makes_it_ask_at_once() -> None:
    asked = threading.Semaphore(0)
    watch = HeadWatch(lambda: asked.release() and None, 3600)
    watch.start()
    for _ in range(2):
        watch.wake()
        assert asked.acquire(timeout=10)
    watch.stop()


def test_stopping_waits_for_the_thread_and_works_without_one() -> None:
    watch = HeadWatch(lambda: None, 3600)
    watch.stop()
    watch = HeadWatch(lambda: None, 3600)
    watch.start()
    watch.stop()
    assert not any(thread.name == "directory" for thread in threading.enumerate())
