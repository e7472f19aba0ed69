"""The service unit forbids nothing that the gateway does: its system calls against the unit's filter."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.gateway import Gateway, plain_message, wait_until
from tests.support.peers import RequirePeer

UNIT = Path(__file__).parents[2] / "systemd/gatepost.service"
# SQLite gives a file to its folder's owner, but only as root; the service is not root.
ONLY_AS_ROOT = {"fchown"}


def test_every_system_call_is_allowed(require_peer: RequirePeer, tmp_path: Path) -> None:
    strace, analyze = require_peer("strace"), require_peer("systemd-analyze")
    calls = tmp_path / "calls"
    gateway = Gateway(tmp_path / "var")
    tracing = [strace, "-f", "-qq", "-e", "signal=none", "-o", calls]
    with gateway.log_path.open("ab") as log:
        serve = [sys.executable, "-m", "gateway", "serve", "--config", gateway.config]
        process = subprocess.Popen([*tracing, *serve], stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: any(line["event"] == "ready" for line in gateway.log_lines()), 120, "ready")
        gateway.captured(gateway.send(plain_message(gateway.address)))
    finally:
        for supervisor in psutil.Process(process.pid).children():
            supervisor.terminate()
        process.wait(60)
    trace = calls.read_text(errors="replace")
    used = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace, re.MULTILINE))
    assert {"accept4", "fsync", "fdatasync"} & used
    assert used - allowed(analyze) <= (ONLY_AS_ROOT if os.geteuid() == 0 else set())
    # MemoryDenyWriteExecute=yes
    assert not re.findall(r"(?:mmap|mprotect)\(.*PROT_WRITE\|PROT_EXEC", trace)


def allowed(analyze: Path) -> set[str]:
    """The system calls that the unit's filter lets through."""
    result = subprocess.run(
        [analyze, "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True
    )
    groups: dict[str, set[str]] = {}
    members: set[str] = set()
    for line in result.stdout.splitlines():
        if line.startswith("@"):
            members = groups.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            members.add(line.strip())

    def whole(name: str) -> set[str]:
        return set().union(*(whole(one) if one.startswith("@") else {one} for one in groups[name]))

    calls: set[str] = set()
    for words in re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE):
        if words.startswith("~"):
            calls -= set().union(*(whole(word) for word in words[1:].split()))
        else:
            calls |= set().union(*(whole(word) for word in words.split()))
    return calls
