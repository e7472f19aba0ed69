"""How moves of accounts are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.faces.cli.output import Printer, Row

MOVE_COLUMNS = (
    *("address", "from_workspace", "to_workspace", "from_assignment", "to_assignment"),
    *("key", "before", "after"),
)


def print_moves(printer: Printer, result: Mapping[str, Any]) -> None:
    """A MoveResult: the document, or a line for each value that changes for an account."""
    if printer.as_json:
        printer.one(result)
        return
    printer.many(move_rows(printer, result["moves"]), MOVE_COLUMNS, "no accounts")
    if result["dry_run"]:
        printer.say("Nothing was changed.")


def move_rows(printer: Printer, moves: Iterable[Row]) -> Iterable[Row]:
    """Moves as rows: an account each for programs, a changed value each for people."""
    for move in moves:
        row = {**move, "id": move["grant_id"]}
        if printer.as_json or printer.quiet or not move["changes"]:
            yield row
        else:
            yield from ({**row, **change} for change in move["changes"])
