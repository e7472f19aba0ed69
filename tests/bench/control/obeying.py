"""From a policy's commit until every worker obeys, and what a directory of all accounts costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gateway.app.desk import SYSTEM
from tests.bench.control.client import Caller, Times
from tests.bench.control.installation import Installation
from tests.bench.control.sessions import LARGE, SMALL, Sessions
from tests.bench.meter import pss_megabytes

_POLICY = "bench"
_FOLLOWERS = 2
_BETWEEN_SECONDS = (0.01, 0.037, 0.071)
"""Of no common measure with the workers' polls, so that a commit falls anywhere between two of them."""


class _Policy:
    """The policy of all accounts, whose size limit goes down and up."""

    def __init__(self, at: Installation) -> None:
        self._services = at.desk.services
        self._document = at.gateway.folder / f"{_POLICY}.toml"
        self._committed_at = 0.0
        self._services.writes.subscribe(self._note)
        self.put(LARGE)
        self._services.workspaces.update(SYSTEM, at.population.workspace_id, policy=_POLICY)

    def put(self, size: str) -> float:
        """Apply it with this limit; when that was committed, in monotonic seconds."""
        self._document.write_text(_text(size))
        self._services.policies.apply(SYSTEM, self._document)
        return self._committed_at

    def put_over(self, api: Caller, size: str) -> float:
        """The same over the API; when the reply was there."""
        api.call(
            "POST", "/v1/policies/apply", {"files": [{"path": self._document.name, "text": _text(size)}]}
        )
        return time.monotonic()

    @property
    def version(self) -> int:
        """The version in force."""
        return self._services.policies.show(SYSTEM, _POLICY).version

    def _note(self, _revision: int) -> None:
        self._committed_at = time.monotonic()


def _text(size: str) -> str:
    return f'extends = "default"\n[limits]\nmessage_bytes = "{size}"\n'


def obey_in_sessions(at: Installation, count: int) -> Iterator[tuple[str, str]]:
    """Sessions of every mail process ask until they see the changed limit."""
    policy, api = _Policy(at), Caller(at.port, at.key)
    ways: dict[str, Callable[[str], float]] = {
        "commit of another process": policy.put,
        "reply of the API": partial(policy.put_over, api),
    }
    with Sessions(at) as sessions:
        sessions.seconds_until(refused=False, since=time.monotonic())
        for name, put in ways.items():
            seconds = []
            for number in range(count):
                refused = number % 2 == 0
                since = put(SMALL if refused else LARGE)
                seconds.append(sessions.seconds_until(refused=refused, since=since))
                time.sleep(_BETWEEN_SECONDS[number % 3])
            yield f"{name} to obedience, {len(sessions)} SMTP sessions", f"{Times(seconds)}, of {count}"
    each = [pss_megabytes([child.pid]) for child in at.gateway.children()]
    yield (
        "memory of the processes (PSS): mail, mail, control",
        " + ".join(f"{one:.0f}" for one in each) + f" = {sum(each):.0f} MB",
    )


def obey_in_directories(at: Installation, count: int) -> Iterator[tuple[str, str]]:
    """The same change, seen by directories that hold every account; and their memory."""
    policy = _Policy(at)
    with _followers(at) as followers:
        for memory in [_line(one) for one in followers]:
            platform = memory["platform_mb"] - memory["empty_mb"]
            accounts = memory["filled_mb"] - memory["platform_mb"]
            yield (
                f"memory of a directory, {memory['accounts']} accounts",
                f"{platform:.0f} MB for the platform, {accounts:.0f} MB more with all accounts (PSS)",
            )
        seconds = []
        for number in range(count):
            committed_at = policy.put(SMALL if number % 2 == 0 else LARGE)
            version = policy.version
            seconds.append(max(_obeyed_at(one, version) for one in followers) - committed_at)
            time.sleep(_BETWEEN_SECONDS[number % 3])
        yield (
            f"commit to obedience, {_FOLLOWERS} directories full of accounts",
            f"{Times(seconds)}, of {count}",
        )


@contextmanager
def _followers(at: Installation) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.bench.control.follower", at.gateway.config]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(_FOLLOWERS)
    ]
    try:
        yield running
    finally:
        for one in running:
            assert one.stdin is not None
            one.stdin.close()
            one.wait(60)


def _line(follower: subprocess.Popen[str]) -> dict[str, Any]:
    assert follower.stdout is not None
    line = follower.stdout.readline()
    if not line:
        raise SystemExit("a follower ended early")
    return dict(json.loads(line))


def _obeyed_at(follower: subprocess.Popen[str], version: int) -> float:
    while True:
        facts = _line(follower)
        if facts["version"] >= version:
            return float(facts["at"])
