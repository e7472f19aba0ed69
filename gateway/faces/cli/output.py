"""What the command line prints: tables for people, one JSON document for programs, errors that help."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import click

from gateway.system.rendering import is_time, iso, plain

Row = Mapping[str, Any]


EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CHANGES = 2
"""What a plan with `--exit-code` ends with if something would change; nothing else then ends with it."""
EXIT_INTERRUPTED = 130
"""As shells say that SIGINT ended a program."""
USAGE_CODES = frozenset({"policy-invalid", "declarations-invalid"})
"""Refusals that are mistakes in what was handed in, as a wrong option is."""
_WIDEST_COLUMN = 64
"""Up to which values are padded for the next column's sake."""


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
    """Aligned columns, however wide the terminal is.

    Nothing is folded or cut: ids, addresses and DNS values are there to be copied. A value that is longer
    than others, such as a key's record, moves the rest of its own line alone.
    """
    heads = [column.replace("_", " ") for column in columns]
    cells = [[shown(column, row.get(column)) for column in columns] for row in rows]
    # A value of several lines has them below each other.
    lines = [line for row in cells for line in zip_longest(*(cell.split("\n") for cell in row), fillvalue="")]
    widths = [min(max(map(_width, column)), _WIDEST_COLUMN) for column in zip(heads, *lines, strict=True)]
    click.echo(click.style(_aligned(heads, widths), bold=True))
    for line in lines:
        click.echo(_aligned(line, widths))


def _aligned(line: Iterable[str], widths: Iterable[int]) -> str:
    cells = zip(line, widths, strict=True)
    return "  ".join(cell + " " * (width - _width(cell)) for cell, width in cells).rstrip()


def _width(text: str) -> int:
    """Columns that a terminal needs for it."""
    if text.isascii():
        return len(text)
    # Only who prints what is not ASCII pays for loading what measures it.
    from rich.cells import cell_len

    return cell_len(text)


def shown(key: str, value: Any) -> str:
    """A value as a person reads it: times in UTC, lists with commas, nothing as a dash.

    A flat object is its names and values, `delivered 1, ready 2`; a deeper one is JSON.
    """
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and is_time(key):
        return iso(value)
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        # Between objects a comma would look like one of theirs.
        between = "; " if any(isinstance(item, Mapping) for item in items) else ", "
        return between.join(shown("", item) for item in items)
    if isinstance(value, Mapping):
        return _object(value)
    return str(value)


def _object(value: Row) -> str:
    if any(isinstance(item, Mapping | list | tuple | set | frozenset) for item in value.values()):
        return _printable(json.dumps(plain(value), ensure_ascii=False))
    return ", ".join(f"{_printable(name)} {shown(name, item)}" for name, item in value.items())


def _printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
