"""Many requests from a file, and what became of each in another, so that a run that broke off goes on."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.control.provisioning.files import FileMistakes, Row, read_rows
from gateway.faces.cli.files import writing
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed


def read_requests(path: Path) -> tuple[Row, ...]:
    """The requests in a CSV or JSON file. Raises CommandFailed with all mistakes."""
    try:
        return read_rows(str(path), path.read_text("utf-8"))
    except FileMistakes as error:
        told = "\n".join(map(str, error.problems))
    except (OSError, UnicodeDecodeError) as error:
        told = f"{path}: {error}"
    raise CommandFailed(
        "bad-file", told, "Nothing was done; docs/provisioning.md has the columns.", EXIT_USAGE
    )


def in_lines(text: str, file: Path, lines: Sequence[int]) -> str:
    """What an API says of `rows.3.…` of a call, said of the line of the file on which that row stands."""

    def place(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"{file}:{lines[number]}: " if number < len(lines) else found[0]

    return re.sub(r"\brows\.(\d{1,6})\.", place, text)


class Results:
    """A file of results, a JSON document a line, which belongs to one input and grows call by call.

    It holds app passwords: only its owner may read it.
    """

    def __init__(self, path: Path | None, rows: Sequence[Row]) -> None:
        """`path` None: nothing is kept. Raises CommandFailed for a file of other input, or none to write."""
        self._path = path
        if path is not None:
            # Before anything is done: what is done must have a place to be kept in.
            with writing(path):
                os.close(self._open(path))
        self._mark = hashlib.sha256(
            json.dumps([row.body for row in rows], sort_keys=True).encode()
        ).hexdigest()
        self.known = self._read()

    def add(self, results: list[dict[str, Any]]) -> None:
        """Keep results, on the disk when this returns."""
        self.known.update({one["row"]: one for one in results})
        if self._path is None:
            return
        with writing(self._path), os.fdopen(self._open(self._path), "a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(json.dumps({"input": self._mark}))
            # Before each line: what a run that broke off had begun stays apart.
            file.writelines("\n" + json.dumps(one) for one in results)
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def missing(self, count: int) -> list[int]:
        """The rows, of so many, that are not in order yet."""
        return [row for row in range(count) if self.known.get(row, {}).get("status") in (None, "failed")]

    def _read(self) -> dict[int, dict[str, Any]]:
        if self._path is None or not self._path.exists() or not self._path.stat().st_size:
            return {}
        found = [_whole(line) for line in self._path.read_text("utf-8").splitlines()]
        if found[0].get("input") != self._mark:
            raise CommandFailed(
                "other-input",
                f"{self._path} has the results of another input.",
                "Name another file for these, or the input that they are of.",
                EXIT_USAGE,
            )
        return {one["row"]: one for one in found if "row" in one}


def _whole(line: str) -> dict[str, Any]:
    """A line as JSON; nothing for one that was being written when a run broke off."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
