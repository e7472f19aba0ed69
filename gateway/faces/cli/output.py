"""What the command line prints: tables for people, one JSON document for programs, errors that help."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from gateway.system.rendering import is_time, iso, plain

Row = Mapping[str, Any]


EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CHANGES = 2
"""What a plan with `--exit-code` ends with if something would change; nothing else then ends with it."""
USAGE_CODES = frozenset({"policy-invalid", "declarations-invalid"})
"""Refusals that are mistakes in what was handed in, as a wrong option is."""


class CommandFailed(click.ClickException):
    """An error a person can act on: what happened (`detail`) and what to do next (`fix`).

    `problems` are the mistakes of files, a row for each, for programs: `detail` has them for people.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        fix: str = "",
        exit_code: int = EXIT_FAILED,
        problems: Sequence[Row] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fix = fix
        self.problems = tuple(problems)
        self.exit_code = exit_code  # type: ignore[misc]
        self.as_json = False

    def show(self, file: Any = None) -> None:
        """Print to stderr: JSON if the command was asked for JSON (`as_json`), sentences otherwise."""
        stream = file or sys.stderr
        if self.as_json:
            document = {"code": self.code, "detail": self.detail, "fix": self.fix}
            rows = {"problems": self.problems} if self.problems else {}
            print(json.dumps({**document, **rows}), file=stream)
            return
        print(f"Error: {self.detail}", file=stream)
        if self.fix:
            print(f"  {self.fix}", file=stream)


class Printer:
    """Prints results in the form the person asked for."""

    def __init__(self, as_json: bool, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def many(self, rows: Iterable[Row], columns: Sequence[str], empty: str = "none") -> None:
        """A list: an array, the ids alone, or a table of `columns`; all but the table as rows come in."""
        if self.as_json:
            _array(rows)
        elif self.quiet:
            for row in rows:
                _id_alone(row)
        elif listed := list(rows):
            _table(listed, columns)
        else:
            print(empty, file=sys.stderr)

    def lines(self, documents: Iterable[str]) -> None:
        """JSON documents, a line each, as they come: an array, the ids alone, or these lines."""
        if self.as_json or self.quiet:
            self.many(map(json.loads, documents), ())
        else:
            for document in documents:
                print(document)

    def one(self, row: Row) -> None:
        """One thing: an object, its id alone, or a list of its fields."""
        if self.as_json:
            print(json.dumps(plain(row), indent=2))
        elif self.quiet:
            _id_alone(row)
        else:
            width = max((len(key) for key in row), default=0)
            for key, value in row.items():
                print(f"{key.ljust(width)}  {shown(key, value)}")

    def say(self, sentence: str) -> None:
        """A remark for people; programs that asked for JSON do not see it."""
        if not self.as_json and not self.quiet:
            print(sentence)


def _id_alone(row: Row) -> None:
    """The id, if it has one; what is shown once goes to stderr, after the id, so that it is not lost."""
    name = row.get("id") or row.get("grant_id") or row.get("name")
    if name is None:
        return
    print(name)
    # Only an API key's `key` is a secret: other rows have one that names a value.
    shown_once = (row.get("app_password"), row.get("secret"), row.get("key") if "key_id" in row else None)
    for secret in filter(None, shown_once):
        print(name, secret, file=sys.stderr)


def _array(rows: Iterable[Row]) -> None:
    """A JSON array, written while its rows are still being read: they may be many."""
    before = "["
    for row in rows:
        text = json.dumps(plain(row), indent=2).replace("\n", "\n  ")
        sys.stdout.write(f"{before}\n  {text}")
        before = ","
    sys.stdout.write("[]\n" if before == "[" else "\n]\n")


def _table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    # Only who prints a table pays for loading what draws it.
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_escape(shown(column, row.get(column))) for column in columns))
    if not console.is_terminal:
        console = Console(highlight=False, width=max(200, console.width))
    console.print(table)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def shown(key: str, value: Any) -> str:
    """A value as a person reads it: times in UTC, lists with commas, nothing as a dash."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and is_time(key):
        return iso(value)
    if isinstance(value, str):
        return "".join(
            character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
            for character in value
        )
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(
            shown("", item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)
        )
    if isinstance(value, Mapping):
        return json.dumps(plain(value))
    return str(value)
