"""Many requests from a file, and what became of each in another, so that a run that broke off goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.faces.cli.output import EXIT_USAGE, CommandFailed

_PLACES = {
    "tenant": ("tenant", "name"),
    "tenant_client_id": ("tenant", "client_id"),
    "plan": ("tenant", "plan"),
    "contacts": ("tenant", "contacts"),
    "local_part": ("account", "local_part"),
    "display_name": ("account", "display_name"),
    "client_id": ("account", "client_id"),
    "environment": ("environment",),
    "domain": ("domain",),
    "workspace": ("workspace",),
    "smtp": ("protocols", "smtp"),
    "imap": ("protocols", "imap"),
    "app_password": ("app_password",),
}
"""Where the columns of a CSV file stand in a request."""

COLUMNS = tuple(_PLACES)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_METADATA = "metadata."


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The requests in a `.json` file (an array) or a CSV file with a header. Raises CommandFailed."""
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            return _from_json(json.loads(text))
        return [
            _from_columns(row, path, number)
            for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2)
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(f"{path}: {error}") from None


class Results:
    """A file of results, a JSON document a line, which belongs to one input and grows call by call.

    It holds app passwords: only its owner may read it.
    """

    def __init__(self, path: Path | None, rows: list[dict[str, Any]]) -> None:
        """`path` None: nothing is kept. Raises CommandFailed for a file of another input."""
        self._path = path
        self._mark = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
        self.known = self._read()

    def add(self, results: list[dict[str, Any]]) -> None:
        """Keep results, on the disk when this returns."""
        self.known.update({one["row"]: one for one in results})
        if self._path is None:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(json.dumps({"input": self._mark}))
            # Before each line: what a run that broke off had begun stays apart.
            file.writelines("\n" + json.dumps(one) for one in results)
            file.flush()
            os.fsync(file.fileno())

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


def _from_json(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _unreadable("the JSON is no array of objects")
    return value


def _from_columns(row: Mapping[str | None, Any], path: Path, line: int) -> dict[str, Any]:
    request: dict[str, Any] = {}
    for column, text in row.items():
        if column is None or (column not in _PLACES and not column.startswith(_METADATA)):
            raise _unreadable(
                f"{path}:{line}: {column or 'a value'} has no place; columns: {', '.join(COLUMNS)}"
            )
        if text is None or not text.strip():
            continue
        *folders, name = _PLACES.get(column) or ("account", "metadata", column.removeprefix(_METADATA))
        place = request
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = _value(column, text.strip(), f"{path}:{line}")
    return request


def _value(column: str, text: str, where: str) -> Any:
    if column == "contacts":
        return [one.strip() for one in text.split(";")]
    if column in ("smtp", "imap"):
        if text.lower() not in _WORDS:
            raise _unreadable(f"{where}: {column}: {text!r} is neither true nor false")
        return _WORDS[text.lower()]
    return _WORDS.get(text.lower(), text) if column == "app_password" else text


def _unreadable(what: str) -> CommandFailed:
    return CommandFailed("bad-file", what, "Nothing was done.", EXIT_USAGE)
