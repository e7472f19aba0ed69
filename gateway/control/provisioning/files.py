"""Many requests in a file, CSV or JSON, to bodies of requests: every mistake at once, with its line. Pure.

Nothing of the database is imported here: the command line sends the bodies to whoever serves.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.control.provisioning.bodies import mistakes
from gateway.system.toml_lines import Problem, did_you_mean

COLUMNS: Mapping[str, str] = {
    "tenant": "the tenant's name or id",
    "tenant_client_id": "your own id of the tenant",
    "plan": "a new tenant's plan",
    "contacts": "a new tenant's contacts, with spaces between them",
    "environment": "production (the default), staging or development",
    "domain": "the tenant's own domain; empty: its trial name",
    "workspace": "a workspace's name or id; empty: where patterns and defaults say",
    "local_part": "what stands before the @ (needed)",
    "display_name": "the account's name for people",
    "client_id": "your own id of the account: a row that was done is known by it",
    "smtp": "yes or no (the default)",
    "imap": "yes or no (the default)",
    "app_password": "yes, no (the default), or one that you chose; it needs a protocol that is on",
    "metadata.KEY": "a pair of the account's metadata",
}
"""The columns of a CSV file, whose first line names them in any order."""

MOST_ROWS = 100_000
_METADATA = "metadata."
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")


@dataclass(frozen=True, slots=True)
class Row:
    """One request: the line on which it stands, and the body of `POST /v1/provision`."""

    line: int
    body: dict[str, Any]


class FileMistakes(ValueError):
    """A file with mistakes: `problems` has all of them, by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def read_rows(file: str, text: str) -> tuple[Row, ...]:
    """The requests in a file: JSON (a list, or one object a line) if its name ends so, else CSV.

    `file` names it in problems. Raises FileMistakes.
    """
    reader = _JsonFile(file) if file.endswith((".json", ".jsonl", ".ndjson")) else _CsvFile(file)
    rows = tuple(reader.rows(text.removeprefix("\ufeff")))
    problems = [*reader.problems, *_repeated(file, rows)]
    if not rows and not problems:
        problems.append(Problem(file, 0, "", "no row"))
    if len(rows) > MOST_ROWS:
        problems.append(Problem(file, 0, "", f"{len(rows)} rows; {MOST_ROWS} is the most"))
    if problems:
        raise FileMistakes(problems)
    return rows


class _CsvFile:
    """Reads CSV with a heading; commas or semicolons."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def rows(self, text: str) -> Iterator[Row]:
        """The rows that are in order."""
        heading = text.partition("\n")[0]
        delimiter = ";" if heading.count(";") > heading.count(",") else ","
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            names = [name.strip() for name in next(lines, [])]
            if not self._names_are_known(names):
                return
            line = lines.line_num + 1
            for cells in lines:
                if any(cell.strip() for cell in cells):
                    yield from self._row(line, names, cells)
                line = lines.line_num + 1
        except csv.Error as error:
            self._problem(lines.line_num, "", f"no CSV: {error}")

    def _names_are_known(self, names: list[str]) -> bool:
        known = [name for name in COLUMNS if name != "metadata.KEY"]
        for name in names:
            if name not in known and not (name.startswith(_METADATA) and len(name) > len(_METADATA)):
                hint = did_you_mean(name, known)
                self._problem(1, name, f"no column of this name{hint}; there are: {', '.join(COLUMNS)}")
            elif names.count(name) > 1:
                self._problem(1, name, "the column is there twice")
        if "local_part" not in names:
            self._problem(1, "local_part", "the column is missing")
        if not {"tenant", "tenant_client_id"} & set(names):
            self._problem(1, "tenant", "the column is missing (or give tenant_client_id)")
        return not self.problems

    def _row(self, line: int, names: list[str], cells: list[str]) -> Iterator[Row]:
        if len(cells) != len(names):
            self._problem(line, "", f"{len(cells)} cells; the heading has {len(names)}")
            return
        before = len(self.problems)
        values = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
        if "local_part" not in values:
            self._problem(line, "local_part", "it is empty")
        if not {"tenant", "tenant_client_id"} & set(values):
            self._problem(line, "tenant", "it is empty")
        body = self._body(line, values)
        if len(self.problems) == before:
            for key, message in mistakes(body):
                self._problem(line, _column(key), message)
        if len(self.problems) == before:
            yield Row(line, body)

    def _body(self, line: int, values: Mapping[str, str]) -> dict[str, Any]:
        tenant = {"name": values.get("tenant"), "plan": values.get("plan")}
        tenant |= {"client_id": values.get("tenant_client_id")}
        account = {name: values.get(name) for name in ("local_part", "display_name", "client_id")}
        metadata = {
            name.removeprefix(_METADATA): value
            for name, value in values.items()
            if name.startswith(_METADATA)
        }
        body: dict[str, Any] = {
            "tenant": _said({**tenant, "contacts": values.get("contacts", "").split()}),
            "account": _said({**account, "metadata": metadata}),
            "protocols": {name: self._flag(line, values, name) for name in ("smtp", "imap")},
            "app_password": _password(values.get("app_password", "no")),
        }
        return body | _said({name: values.get(name) for name in ("environment", "domain", "workspace")})

    def _flag(self, line: int, values: Mapping[str, str], name: str) -> bool:
        word = values.get(name, "").lower()
        if word and word not in (*_YES, *_NO):
            self._problem(line, name, f'"{word[:40]}" is not allowed; allowed: yes or no')
        return word in _YES

    def _problem(self, line: int, key: str, message: str) -> None:
        self.problems.append(Problem(self._file, line, key, message))


def _column(key: str) -> str:
    """The column that a field of a body is given in."""
    known = {"tenant.name": "tenant", "tenant.client_id": "tenant_client_id"}
    return known.get(key) or key.rpartition(".")[2]


def _password(word: str) -> bool | str:
    return word.lower() in _YES if word.lower() in (*_YES, *_NO) else word


class _JsonFile:
    """Reads the objects of a JSON list, or one after the other, each with its line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def rows(self, text: str) -> Iterator[Row]:
        """The rows that are in order."""
        is_list = text.lstrip()[:1] == "["
        between = re.compile(r"[ \t\r\n,]*" if is_list else r"[ \t\r\n]*")
        at, line, counted = (text.index("[") + 1 if is_list else 0), 1, 0
        decoder = json.JSONDecoder()
        while True:
            gap = between.match(text, at)
            at = gap.end() if gap is not None else at
            line, counted = line + text.count("\n", counted, at), at
            if at >= len(text) or (is_list and text[at] == "]"):
                return
            try:
                value, at = decoder.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError) as error:
                message = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
                place = error.lineno if isinstance(error, json.JSONDecodeError) else line
                self.problems.append(Problem(self._file, place, "", f"no JSON: {message}"))
                return
            found = [Problem(self._file, line, key, message) for key, message in mistakes(value)]
            self.problems += found
            if not found:
                yield Row(line, value)


def _repeated(file: str, rows: Iterable[Row]) -> Iterator[Problem]:
    """Rows of one tenant with the same client_id: the second would silently be the first."""
    first: dict[tuple[Any, ...], int] = {}
    for row in rows:
        tenant, account = row.body.get("tenant") or {}, row.body.get("account") or {}
        if account.get("client_id") is not None:
            key = (tenant.get("name"), tenant.get("client_id"), account["client_id"].strip())
            line = first.setdefault(key, row.line)
            if line != row.line:
                yield Problem(file, row.line, "client_id", f"line {line} has it already")


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], {})}
