"""What a child process is told, and how it answers."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

from gateway.system.config import Config, Endpoint

READY = b"R"
RELOADED = b"L"
PULSE_SECONDS = 0.5

_PR_SET_PDEATHSIG = 1
_HELD_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """One kind of process.

    `entry` runs in the child and gives its exit status; before `ready` 1 and 2 end the whole start.
    `listens`: by role, addresses at which each process of the kind gets a socket of its own.
    `ladder`: by role, the address of process 0; process n gets the one n ports higher.
    `hang_seconds`: without progress for so long a process counts as stuck and is replaced.
    """

    name: str
    count: int
    entry: Callable[[ChildContext], int]
    listens: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    ladder: Mapping[str, Endpoint] = field(default_factory=dict)
    hang_seconds: float = 60.0


@dataclass(frozen=True)
class ChildContext:
    """One process as it begins. All sockets are listening; the supervisor keeps them when the process dies.

    `number` counts over all kinds from 0 and stays with the place: for columns of shared memory.
    `incarnation` is new with every fork. `dead_incarnations` are those whose work this process must free
    before it calls `ready`. `shared` is what the supervisor was given, made before the fork.
    """

    kind: str
    index: int
    number: int
    incarnation: str
    config: Config
    sockets: Mapping[str, tuple[socket.socket, ...]]
    dead_incarnations: tuple[str, ...]
    shared: object
    pipe: int
    life: int
    counters: memoryview

    @property
    def name(self) -> str:
        """Kind and index: `mail0`."""
        return f"{self.kind}{self.index}"

    def ready(self) -> None:
        """Report that this process serves, and that what the dead left is freed."""
        self._report(READY)

    def reloaded(self) -> None:
        """Report that a reload is done, with or without success."""
        self._report(RELOADED)

    def progress(self) -> None:
        """Show a sign of life; at least every `hang_seconds` once ready."""
        self.counters[self.number] += 1

    def attach(
        self,
        loop: AbstractEventLoop,
        *,
        on_drain: Callable[[], None],
        on_reload: Callable[[], None],
        on_lag: Callable[[float], None] | None = None,
    ) -> None:
        """Take signals on an event loop and let its turns be the progress.

        `on_drain` (SIGTERM) must end `entry` soon; `on_reload` (SIGHUP) should load the configuration and
        call `reloaded`. `on_lag` gets how late the loop woke, in seconds, twice a second.
        """
        loop.add_signal_handler(signal.SIGTERM, on_drain)
        loop.add_signal_handler(signal.SIGHUP, on_reload)
        loop.add_reader(self.life, self._orphaned)

        def pulse(due: float) -> None:
            self.progress()
            now = loop.time()
            if on_lag is not None:
                on_lag(max(0.0, now - due))
            loop.call_later(PULSE_SECONDS, pulse, now + PULSE_SECONDS)

        loop.call_soon(pulse, loop.time())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)

    def watch_signals(self, *, on_drain: Callable[[], None], on_reload: Callable[[], None]) -> None:
        """Take signals without an event loop; the caller shows its progress itself."""

        def drain(_: int, __: FrameType | None) -> None:
            on_drain()

        def reload(_: int, __: FrameType | None) -> None:
            on_reload()

        signal.signal(signal.SIGTERM, drain)
        signal.signal(signal.SIGHUP, reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)

    def _report(self, word: bytes) -> None:
        # Without a supervisor there is nobody to tell, and this process is about to be killed.
        with contextlib.suppress(BrokenPipeError):
            os.write(self.pipe, word)

    def _orphaned(self) -> None:
        os._exit(1)


def hold_signals() -> None:
    """Keep SIGTERM and SIGHUP waiting until a child has said who takes them. Call it around a fork."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_SIGNALS)


def release_signals() -> None:
    """The parent's side of `hold_signals`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)


def become_child(parent: int) -> None:
    """Forget the supervisor's signal handling, and die with it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Ctrl-C reaches the whole group; the supervisor turns it into a drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
