"""The supervisor: no event loop, no threads, no database. It forks, waits, restarts and drains."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, MutableMapping, Sequence
from types import FrameType
from typing import NoReturn

import structlog

from gateway.supervisor import child as childside
from gateway.supervisor.child import ChildContext, ProcessKind
from gateway.supervisor.errors import StartError
from gateway.supervisor.node import StateFolder, drop_privileges, raise_descriptor_limit
from gateway.supervisor.places import Place, Running
from gateway.supervisor.ports import open_ports
from gateway.system.clock import Clock
from gateway.system.config import Config, ConfigError, merged
from gateway.system.notify import ServiceManager, activated_sockets
from gateway.system.ports import PortError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
_LOOK_SECONDS = 1.0
_RELOAD_SECONDS = 10.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs the processes of one node until SIGTERM.

    `load` reads the configuration again (SIGHUP); `token` makes an unguessable word for an incarnation;
    `prepare` runs once in a child before all others, with the ports and the state folder ours and the
    privileges dropped: what it gives other than 0 ends the start;
    `shared` is handed to every child (memory they share, made by the caller before); `on_exit` is told
    the number of a place whose process died, before its next one starts.
    """

    def __init__(
        self,
        config: Config,
        kinds: Sequence[ProcessKind],
        *,
        load: Callable[[], Config],
        clock: Clock,
        token: Callable[[], str],
        environ: MutableMapping[str, str],
        prepare: Callable[[], int] = lambda: 0,
        shared: object = None,
        on_exit: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._load = load
        self._clock = clock
        self._token = token
        self._prepare = prepare
        self._shared = shared
        self._on_exit = on_exit
        self._environ = environ
        self._manager = ServiceManager(environ)
        self._log = structlog.get_logger("gateway.supervisor")
        self._places: list[Place] = []
        for kind in kinds:
            self._places += [Place(kind, n, len(self._places) + n) for n in range(kind.count)]
        # A word for each place, in memory that parent and children share.
        self._counters = memoryview(mmap.mmap(-1, 8 * max(1, len(self._places)))).cast("Q")
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._life_read, self._life_write = os.pipe2(os.O_CLOEXEC)
        self._poll = select.poll()
        self._was_ready = False
        self._exit_code: int | None = None
        self._drain_until: float | None = None
        self._reload_until: float | None = None
        self._fed_at = 0.0

    def run(self) -> int:
        """Serve. Gives the exit status: 0 after a drain, 1 if the start failed, 2 for a configuration."""
        try:
            self._state = StateFolder(self._config.state_dir)
            open_ports(self._places, activated_sockets(self._environ), self._log)
            if self._config.user is not None:
                drop_privileges(self._config.user, self._state)
            elif os.geteuid() == 0:
                self._log.warning("running_as_root", fix="set `user` in the configuration")
        except (StartError, PortError) as error:
            self._log.error("start_failed", detail=error.detail, fix=error.fix)
            return EXIT_FAILED
        if (status := self._prepared()) != 0:
            return status
        self._adopt_dead()
        self._log.info("starting", processes=len(self._places), descriptors=raise_descriptor_limit())
        self._take_signals()
        # What is loaded by now stays shared with the children: collecting would write to those pages.
        gc.collect()
        gc.freeze()
        try:
            return self._serve()
        finally:
            self._state.close()

    def _prepared(self) -> int:
        """Run `prepare` in a child, so that nothing it opens or starts stays here; gives its status."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = EXIT_FAILED
            try:
                childside.become_child(parent)
                status = self._prepare()
            except BaseException:  # noqa: BLE001 - whatever ended it, the log must say it
                self._log.exception("start_failed", detail="preparing failed", fix="see the traceback")
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status if status >= 0 else EXIT_FAILED

    def _adopt_dead(self) -> None:
        """What an earlier serve left is freed by the first process of the kind."""
        for kind, incarnations in self._state.incarnations().items():
            for place in self._places:
                if place.kind.name == kind and place.index == 0:
                    place.dead += incarnations

    def _take_signals(self) -> None:
        def noted(_: int, __: FrameType | None) -> None:
            """The number goes through the wake-up pipe; nothing is done here."""

        for number in _SIGNALS:
            signal.signal(number, noted)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._poll.register(self._wake_read, select.POLLIN)

    # --- the loop ---

    def _serve(self) -> int:
        while True:
            now = self._clock.monotonic()
            if self._drain_until is None:
                self._start_due(now)
            elif self._is_drained(now):
                break
            for descriptor, _ in self._poll.poll(self._patience(now) * 1000):
                if descriptor == self._wake_read:
                    self._take_wake()
                else:
                    self._take_reports(descriptor)
            self._bury_dead()
            self._watch(self._clock.monotonic())
        code = self._exit_code or 0
        self._log.info("stopped", code=code)
        return code

    def _patience(self, now: float) -> float:
        """Seconds until something is due."""
        due = [now + _LOOK_SECONDS]
        if self._drain_until is None:
            due += [place.start_at for place in self._places if place.running is None]
        due += [at for at in (self._drain_until, self._reload_until) if at is not None]
        return max(0.0, min(due) - now)

    def _take_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._wake_read, 4_096):
                if number in (signal.SIGTERM, signal.SIGINT):
                    self._drain(signal.Signals(number).name)
                elif number == signal.SIGHUP and self._drain_until is None:
                    self._reload()

    def _take_reports(self, descriptor: int) -> None:
        place = next((p for p in self._places if p.running and p.running.pipe == descriptor), None)
        if place is None or place.running is None:
            return
        words = os.read(descriptor, 64)
        if not words:
            # It closed its end; waiting for its status tells the rest.
            self._poll.unregister(descriptor)
        if childside.READY in words and not place.running.is_ready:
            place.reported_ready()
            self._remember()
            self._log.info("process_ready", name=place.name, child=place.running.pid)
            self._say_ready()
        if childside.RELOADED in words:
            place.running.is_reloading = False
            self._end_reload()

    def _say_ready(self) -> None:
        if self._was_ready or not all(p.running and p.running.is_ready for p in self._places):
            return
        self._was_ready = True
        self._manager.ready(f"serving with {len(self._places)} processes")
        self._log.info("ready", node=self._config.node, processes=len(self._places))

    # --- children ---

    def _start_due(self, now: float) -> None:
        for place in self._places:
            if place.running is None and place.start_at <= now:
                self._fork(place)

    def _fork(self, place: Place) -> None:
        if threading.active_count() != 1:
            raise RuntimeError("the supervisor has threads: a fork would break the children")
        incarnation = f"{self._config.node}:{place.name}:{self._token()}"
        parent = os.getpid()
        read, write = os.pipe2(os.O_CLOEXEC)
        self._remember((place.kind.name, incarnation))
        sys.stdout.flush()
        sys.stderr.flush()
        childside.hold_signals()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            self._be(place, incarnation, write, parent)
        childside.release_signals()
        os.close(write)
        place.filled(Running(pid, incarnation, read, self._clock.monotonic()))
        self._poll.register(read, select.POLLIN)
        self._log.info("process_started", name=place.name, child=pid, incarnation=incarnation)

    def _be(self, place: Place, incarnation: str, pipe: int, parent: int) -> NoReturn:
        """The child's life, from the fork to its end."""
        code = EXIT_FAILED
        try:
            childside.become_child(parent)
            for descriptor in (self._wake_read, self._wake_write, self._life_write):
                os.close(descriptor)
            for other in self._places:
                if other is not place:
                    _close(other)
            context = ChildContext(
                kind=place.kind.name,
                index=place.index,
                number=place.number,
                incarnation=incarnation,
                config=self._config,
                sockets=place.sockets,
                dead_incarnations=tuple(place.dead),
                shared=self._shared,
                pipe=pipe,
                life=self._life_read,
                counters=self._counters,
            )
            code = place.kind.entry(context)
        except BaseException:  # noqa: BLE001 - whatever ended it, the log must say it
            self._log.exception("process_failed", name=place.name)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _bury_dead(self) -> None:
        for place in self._places:
            running = place.running
            if running is None:
                continue
            pid, status = os.waitpid(running.pid, os.WNOHANG)
            if pid == 0:
                continue
            with contextlib.suppress(KeyError):
                self._poll.unregister(running.pipe)
            # A last word may still stand in the pipe.
            os.close(running.pipe)
            delay = place.emptied(self._clock.monotonic())
            self._on_exit(place.number)
            code = os.waitstatus_to_exitcode(status)
            if self._drain_until is None:
                self._log.warning(
                    "process_died", name=place.name, child=pid, code=code, restart_seconds=delay,
                    incarnation=running.incarnation,
                )  # fmt: skip
                self._end_reload()
                if not self._was_ready and code in (EXIT_FAILED, EXIT_CONFIGURATION):
                    self._exit_code = code
                    self._drain(f"{place.name} could not start")

    def _remember(self, *more: tuple[str, str]) -> None:
        """Write down which incarnations may own work, before one more begins."""
        owners: dict[str, list[str]] = {}
        for place in self._places:
            running = [place.running.incarnation] if place.running else []
            owners.setdefault(place.kind.name, []).extend([*place.dead, *running])
        for kind, incarnation in more:
            owners[kind].append(incarnation)
        try:
            self._state.remember(owners)
        except OSError as error:
            # A full disk: other nodes' rule holds, and frees the work after 60 s.
            self._log.warning("incarnations_not_kept", reason=str(error))

    def _watch(self, now: float) -> None:
        """Replace what is stuck; tell systemd that all is well only if nothing is."""
        stuck = [place for place in self._places if not place.has_moved(self._counters[place.number], now)]
        for place in stuck:
            if place.running is not None and self._drain_until is None:
                self._log.error("process_stuck", name=place.name, child=place.running.pid)
                os.kill(place.running.pid, signal.SIGKILL)
        if self._reload_until is not None and now >= self._reload_until:
            for place in self._places:
                if place.running is not None:
                    place.running.is_reloading = False
            self._end_reload()
        interval = self._manager.watchdog_seconds
        if not stuck and interval is not None and now - self._fed_at >= min(_LOOK_SECONDS, interval / 3):
            self._fed_at = now
            self._manager.alive()

    # --- signals ---

    def _drain(self, reason: str) -> None:
        now = self._clock.monotonic()
        if self._drain_until is not None:
            # Asked twice: no more patience.
            self._drain_until = now
            return
        seconds = self._config.limits.drain_seconds
        self._drain_until = now + seconds
        self._log.info("stopping", reason=reason, seconds=seconds)
        self._manager.stopping("draining")
        for place in self._places:
            _close(place)
            if place.running is not None:
                os.kill(place.running.pid, signal.SIGTERM)

    def _is_drained(self, now: float) -> bool:
        left = [place for place in self._places if place.running is not None]
        if self._drain_until is not None and now >= self._drain_until:
            for place in left:
                assert place.running is not None
                self._log.warning("process_killed", name=place.name, child=place.running.pid)
                os.kill(place.running.pid, signal.SIGKILL)
            # Given a moment to be gone.
            self._drain_until = now + _LOOK_SECONDS
        return not left

    def _reload(self) -> None:
        self._manager.reloading()
        try:
            self._config, waiting = merged(self._config, self._load())
        except ConfigError as error:
            self._log.error("reload_refused", problems=[str(problem) for problem in error.problems])
            self._manager.ready("serving; the last reload was refused")
            return
        if waiting:
            self._log.warning("restart_needed", keys=waiting)
        self._reload_until = self._clock.monotonic() + _RELOAD_SECONDS
        for place in self._places:
            if place.running is not None:
                place.running.is_reloading = True
                os.kill(place.running.pid, signal.SIGHUP)
        self._end_reload()

    def _end_reload(self) -> None:
        """Say so once every process has reloaded, died, or used up its time."""
        if self._reload_until is None or any(p.running and p.running.is_reloading for p in self._places):
            return
        self._reload_until = None
        self._manager.ready(f"serving with {len(self._places)} processes")
        self._log.info("reloaded")


def _close(place: Place) -> None:
    for sockets in place.sockets.values():
        for one in sockets:
            one.close()
