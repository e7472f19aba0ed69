"""The places that processes fill: one a kind and index, whoever fills it now. No system calls."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from gateway.supervisor.child import ProcessKind

STEADY_SECONDS = 10.0
_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


@dataclass
class Running:
    """The process in a place. `pipe` is our end of its reports; times are monotonic seconds."""

    pid: int
    incarnation: str
    pipe: int
    started_at: float
    is_ready: bool = False
    is_reloading: bool = False
    counter: int = 0
    moved_at: float = 0.0


@dataclass
class Place:
    """One place: its sockets stay when its process dies."""

    kind: ProcessKind
    index: int
    number: int
    sockets: dict[str, tuple[socket.socket, ...]] = field(default_factory=dict)
    running: Running | None = None
    start_at: float = 0.0
    dead: list[str] = field(default_factory=list)
    quick_deaths: int = 0

    @property
    def name(self) -> str:
        """Kind and index: `mail0`."""
        return f"{self.kind.name}{self.index}"

    def filled(self, running: Running) -> None:
        """A process was started here."""
        self.running = running

    def reported_ready(self) -> None:
        """The process serves, and has freed what its dead predecessors owned."""
        if self.running is not None:
            self.running.is_ready = True
            self.dead.clear()

    def emptied(self, now: float) -> float:
        """The process ended: plan the next, and give the seconds until then. The first comes at once."""
        running, self.running = self.running, None
        if running is None:
            return 0.0
        self.dead.append(running.incarnation)
        if running.is_ready and now - running.started_at >= STEADY_SECONDS:
            self.quick_deaths = 0
        delay = _DELAYS[min(self.quick_deaths, len(_DELAYS) - 1)]
        self.quick_deaths += 1
        self.start_at = now + delay
        return delay

    def has_moved(self, counter: int, now: float) -> bool:
        """Whether the process showed progress lately; one that is not ready yet is not judged."""
        running = self.running
        if running is None or not running.is_ready:
            return True
        if counter != running.counter or not running.moved_at:
            running.counter, running.moved_at = counter, now
        return now - running.moved_at < self.kind.hang_seconds
