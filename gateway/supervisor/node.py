"""The node's hold on its machine: its state folder, its user, its limits."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import resource
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.supervisor.errors import StartError

_LOCK_SECONDS = 3.0
_MOST_DESCRIPTORS = 65_536


class StateFolder:
    """The state folder, held by one `serve` at a time, and what it remembers of its processes."""

    def __init__(self, path: Path) -> None:
        """Make the folder (0700) if need be, and hold it.

        Raises StartError if another serve holds it. One that was killed may hold it for moments yet.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            detail = f"the state folder {path} cannot be used: {error.strerror}"
            raise StartError(detail, "make it writable for this user, or set state_dir") from error
        deadline = time.monotonic() + _LOCK_SECONDS
        while not self._try_lock():
            if time.monotonic() > deadline:
                holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
                os.close(self._lock)
                detail = f"another gatepost serves from {path} already (process {holder or 'unknown'})"
                raise StartError(detail, "stop that one, or give this one a state_dir of its own")
            time.sleep(0.05)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def incarnations(self) -> dict[str, list[str]]:
        """By kind, the incarnations that may still own work. All that an earlier serve left are dead."""
        try:
            found = json.loads((self.path / "incarnations.json").read_text("utf-8"))
            return {str(kind): [str(one) for one in ones] for kind, ones in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError):
            # Damaged by a power loss: other nodes' rule holds, and frees their work after 60 s.
            return {}

    def remember(self, incarnations: Mapping[str, Iterable[str]]) -> None:
        """Keep the incarnations that may own work, for the serve after this one."""
        partial = self.path / "incarnations.json.partial"
        partial.write_text(json.dumps({kind: list(ones) for kind, ones in incarnations.items()}), "utf-8")
        partial.replace(self.path / "incarnations.json")

    def give_to(self, uid: int, gid: int) -> None:
        """Let another user own the folder and what lies directly in it."""
        for path in (self.path, *self.path.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                os.chown(path, uid, gid, follow_symlinks=False)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)


def drop_privileges(user: str, state: StateFolder) -> None:
    """Become `user` for good, if this is root. Raises StartError if that user does not exist."""
    if os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        fix = f"make it (adduser --system --group {user}), or correct `user`"
        raise StartError(f"there is no user {user} on this machine", fix) from None
    if entry.pw_uid == 0:
        return
    state.give_to(entry.pw_uid, entry.pw_gid)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def raise_descriptor_limit() -> int:
    """Let the processes have as many descriptors as the machine allows; gives how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # A sandbox may forbid it; then what it gave must do.
        return soft
    return wanted
