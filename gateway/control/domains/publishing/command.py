"""Publishing by a program of the operator's, for DNS providers with a way of their own.

It is given on its standard input

    {"changes": [{"action": "put", "name": "…", "type": "TXT", "ttl": 300, "values": ["…"]},
                 {"action": "withdraw", "name": "…", "type": "TXT", "values": ["…"]}]}

and is to bring about all of it: `put` replaces what stands at a name and type. Status 0 says that all is
done; any other, or no end within the timeout, that all is to be tried again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from gateway.control.domains.names import is_below
from gateway.control.domains.publishing.channel import Keep, Seen
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.values import (
    PLATFORM,
    Change,
    Outcome,
    RecordKey,
    Values,
    foreign_words,
)

_AT_ONCE = 500
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE")
_LONGEST_REMARK = 300
_MOST_REMARKS = 65_536
_BESIDE_ALIAS = ("A", "AAAA", "TXT", "MX")
"""What somebody may have at a name that is to be an alias, which stands alone."""


class CommandChannel:
    """A Channel: the operator's program, which runs as the gateway's user, with little of its environment."""

    is_automatic = True

    def __init__(
        self, command: Path, timeout: float, ttl: int, look: ResolverLook, own: Collection[str] = ()
    ) -> None:
        """`timeout` and `ttl` in seconds. `own`: names below which only tenants' things here have names."""
        self._command = command
        self._timeout = timeout
        self._ttl = ttl
        self._look = look
        self._own = tuple(own)

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See Channel."""
        foreign = self._foreign(changes)
        ordered = sorted(changes, key=lambda one: one.after is not None)
        ours = [change for change in ordered if change.key not in foreign]
        refused = [Outcome(one, foreign[one.key]) for one in ordered if one.key in foreign]
        return [*refused, *(outcome for part in _parts(ours) for outcome in self._apply(part))]

    def look(self, keys: Collection[RecordKey]) -> Seen:
        """See Channel: what the resolver says."""
        return self._look(keys)

    def everything(self, keep: Keep) -> Seen | None:  # noqa: ARG002 - nobody lists anything here
        """See Channel."""
        return None

    def _foreign(self, changes: Sequence[Change]) -> dict[RecordKey, str]:
        """What somebody else may have put at names that are not the gateway's alone, and why it stays.

        Where nobody says what stands there, nothing is put either.
        """
        shared = [
            one for one in changes if one.before is None and one.after is not None and self._is_shared(one)
        ]
        asked = {one.key: _rivals(one.key) for one in shared}
        seen = self._look([key for keys in asked.values() for key in keys])
        words = {one.key: _why_not(one, asked[one.key], seen) for one in shared}
        return {key: why for key, why in words.items() if why is not None}

    def _is_shared(self, change: Change) -> bool:
        return change.owner == PLATFORM or not any(is_below(change.key.name, name) for name in self._own)

    def _apply(self, changes: Sequence[Change]) -> list[Outcome]:
        document = {"changes": [self._written(change) for change in changes]}
        error = self._run(json.dumps(document).encode())
        return [Outcome(change, error) for change in changes]

    def _written(self, change: Change) -> dict[str, Any]:
        written: dict[str, Any] = {"action": change.action, "name": change.key.name, "type": change.key.type}
        if change.after is not None:
            return {**written, "ttl": self._ttl, "values": list(change.after)}
        return {**written, "values": list(change.before or ())}

    def _run(self, document: bytes) -> str | None:
        """None if all is done, else what to tell the operator."""
        environ = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        # Files, not pipes: a child that lives on could keep a pipe open for ever.
        with TemporaryFile() as given, TemporaryFile() as remarks:
            given.write(document)
            given.seek(0)
            try:
                process = subprocess.Popen(
                    [str(self._command)],
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=remarks,
                    env=environ,
                    start_new_session=True,
                )
            except OSError as error:
                return f"{self._command} cannot be run: {error.strerror}"
            return self._ended(process, remarks)

    def _ended(self, process: subprocess.Popen[bytes], remarks: IO[bytes]) -> str | None:
        try:
            status = process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"{self._command} did not end within {self._timeout:g} s"
        if status == 0:
            return None
        remarks.seek(0)
        words = _remark(remarks.read(_MOST_REMARKS))
        return f"{self._command} ended with status {status}{words}"


class ByHand:
    """A Channel where a person publishes: nothing is changed, only looked at."""

    is_automatic = False

    def __init__(self, look: ResolverLook) -> None:
        self._look = look

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See Channel: what nobody ever published is taken back already."""
        return [Outcome(change) for change in changes if change.after is None and change.before is None]

    def look(self, keys: Collection[RecordKey]) -> Seen:
        """See Channel: what the resolver says."""
        return self._look(keys)

    def everything(self, keep: Keep) -> Seen | None:  # noqa: ARG002 - nobody lists anything here
        """See Channel."""
        return None


def _rivals(key: RecordKey) -> list[RecordKey]:
    """What a new record must not meet: others of its name and type, and what cannot stand beside an alias."""
    beside = _BESIDE_ALIAS if key.type == "CNAME" else ("CNAME",)
    return [key, *(RecordKey(key.name, kind) for kind in beside)]


def _why_not(
    change: Change, rivals: Sequence[RecordKey], seen: Mapping[RecordKey, Values | None]
) -> str | None:
    """Why a record is not put; None if nothing is in its way."""
    key = change.key
    if key not in seen:
        return f"nobody says what stands at {key.name}: it is put once the resolver answers"
    found = seen[key]
    if found is not None and (found == change.after or found in change.ours):
        return None
    there = next((one for one in rivals if seen.get(one) is not None), None)
    return foreign_words(there, seen[there] or ()) if there is not None else None


def _remark(remarks: bytes) -> str:
    lines = remarks.decode("utf-8", "replace").strip().splitlines()
    last = "".join(c if c.isprintable() else "?" for c in lines[-1]) if lines else ""
    return f": {last[:_LONGEST_REMARK]}" if last else ""


def _parts(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    return (changes[start : start + _AT_ONCE] for start in range(0, len(changes), _AT_ONCE))
