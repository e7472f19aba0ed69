"""Datagrams: what systemd is told, what it hands over, and hints between our own processes."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

_FIRST_DESCRIPTOR = 3
_LONGEST_HINT = 512


class ServiceManager:
    """systemd's notification socket (sd_notify(3)); without one every call does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        self.watchdog_seconds = _watchdog_seconds(environ)
        """How long systemd waits for a sign of life; None if it does not watch us."""

    def ready(self, status: str) -> None:
        """The service is up, or done with reloading."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """The service drains and ends."""
        self._send(f"STOPPING=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        # A manager that does not listen must not stop the mail.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), self._address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000


def _one_line(text: str) -> str:
    return " ".join(text.split())


def activated_sockets(environ: MutableMapping[str, str]) -> dict[str, list[socket.socket]]:
    """The listening sockets systemd opened for us (sd_listen_fds(3)), by name (`FileDescriptorName=`).

    Takes the variables out of `environ`, so that no child believes they are meant for it.
    """
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if not count.isdigit() or pid != str(os.getpid()):
        return {}
    found: dict[str, list[socket.socket]] = {}
    for index in range(int(count)):
        descriptor = _FIRST_DESCRIPTOR + index
        os.set_inheritable(descriptor, False)
        name = names[index] if index < len(names) else "unknown"
        found.setdefault(name, []).append(socket.socket(fileno=descriptor))
    return found


class Hints:
    """Hints between the processes of one node: "the revision moved", "the queue has work".

    Each process has a datagram socket `NAME.sock` in one folder. A hint is a short word, sent after the
    commit it speaks of. Losing one is harmless: whoever waits for it also polls.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        """Open this process's socket; one left behind by a dead process of that name is replaced.

        Without a name nobody tells this process anything: it only sends.
        """
        self._folder = folder
        self._path = folder / f"{name}.sock" if name is not None else None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Sockets are named through the open folder: a name of its own may have 108 octets only.
        self._open_folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._socket.bind(self._short(self._path))

    def fileno(self) -> int:
        """For an event loop's add_reader; call `receive` when it is readable."""
        return self._socket.fileno()

    def receive(self, take: Callable[[str], None]) -> None:
        """Give every hint that has come to `take`, each word once."""
        seen: dict[str, None] = {}
        while True:
            try:
                word = self._socket.recv(_LONGEST_HINT)
            except BlockingIOError:
                break
            seen[word.decode("ascii", "replace")] = None
        for one in seen:
            take(one)

    def send(self, word: str) -> int:
        """Tell all other processes of the node; gives how many heard it. Never waits, never raises."""
        heard = 0
        for path in self._folder.glob("*.sock"):
            if path == self._path:
                continue
            try:
                self._socket.sendto(word.encode("ascii")[:_LONGEST_HINT], self._short(path))
                heard += 1
            except OSError as error:
                # A full buffer has hints enough already; a refusing socket belongs to a dead process.
                if error.errno == errno.ECONNREFUSED:
                    path.unlink(missing_ok=True)
        return heard

    def close(self) -> None:
        """Close the socket and take its name away."""
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        os.close(self._open_folder)

    def _short(self, path: Path) -> str:
        return f"/proc/self/fd/{self._open_folder}/{path.name}"
