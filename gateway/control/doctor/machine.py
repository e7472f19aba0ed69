"""Checks of the machine: its clock, its disk, the file of the master key, and mail that does not leave."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.control.doctor.values import Check, Finding

_CLOCK_SECONDS = (2.0, 30.0)
_WAIT_SECONDS = (3_600.0, 6 * 3_600.0)
_LEAST_FREE = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """What of it is looked at. `database_time`: the control database's clock, None where it is this one's.

    `longest_wait`: how long the oldest mail that could leave waits, in seconds; both may raise DatabaseAway.
    """

    folders: Sequence[Path]
    least_free: int
    master_key: Path
    database_time: Callable[[], float | None]
    longest_wait: Callable[[], float | None]


def machine_checks(machine: Machine, now: Callable[[], float]) -> Iterator[Check]:
    """For all of it."""
    yield Check("clock", "database", partial(_clock, machine.database_time, now))
    yield Check("queue", "oldest mail", partial(_queue, machine.longest_wait))
    yield Check("master-key", str(machine.master_key), partial(_key_file, machine.master_key))
    for folder in machine.folders:
        yield Check("disk", str(folder), partial(_disk, folder, machine.least_free))


def _clock(database_time: Callable[[], float | None], now: Callable[[], float]) -> Finding:
    before = now()
    there = database_time()
    if there is None:
        detail = "Not compared: the database is on this machine, and there is no other clock to ask."
        return Finding("clock", "database", "green", detail)
    off = abs(there - (before + now()) / 2)
    if off < _CLOCK_SECONDS[0]:
        return Finding("clock", "database", "green", f"The clocks agree within {_CLOCK_SECONDS[0]:g} s.")
    fix = "Let both machines follow the same time servers (timedatectl set-ntp true)."
    detail = f"This clock and that of the control database differ by {off:.0f} s."
    return Finding("clock", "database", "red" if off >= _CLOCK_SECONDS[1] else "amber", detail, fix)


def _queue(longest_wait: Callable[[], float | None]) -> Finding:
    waits = longest_wait()
    if waits is None:
        return Finding("queue", "oldest mail", "green", "Nothing waits.")
    detail = f"The oldest mail has waited for {waits / 60:.0f} min."
    if waits < _WAIT_SECONDS[0]:
        return Finding("queue", "oldest mail", "green", detail)
    fix = "`gatepost queue list` has the last reply that each recipient's host gave."
    return Finding("queue", "oldest mail", "red" if waits >= _WAIT_SECONDS[1] else "amber", detail, fix)


def _key_file(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    fix = f"chmod 600 {path}"
    if mode & 0o007:
        detail = f"Everybody on this machine may use it (mode {mode:04o})."
        return Finding("master-key", str(path), "red", detail, fix)
    if mode & 0o070:
        detail = f"Its group may use it (mode {mode:04o})."
        return Finding("master-key", str(path), "amber", detail, fix)
    return Finding("master-key", str(path), "green", f"Only its owner may use it (mode {mode:04o}).")


def _disk(folder: Path, least_free: int) -> Finding:
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total if usage.total else 0.0
    detail = f"{usage.free // 2**20} MiB are free, {share:.0%}."
    fix = "Make room, or move the folder: below [limits] free_space_bytes no mail is accepted."
    if usage.free < least_free:
        return Finding("disk", str(folder), "red", detail, fix)
    return Finding(
        "disk", str(folder), *(("amber", detail, fix) if share < _LEAST_FREE else ("green", detail))
    )
