"""`apply`, `export`: an installation as files. What applying would change is `plan PATH`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.policies import path_argument
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.files import documents_in, read_documents, writing
from gateway.faces.cli.output import CommandFailed, Printer

CHANGE_COLUMNS = ("action", "kind", "name", "tenant", "field", "before", "after")

prune_option = click.option(
    "--prune", is_flag=True, help="Take away what the files do not name, of its kinds."
)


def add_to(root: click.Group) -> None:
    """Register the commands."""
    command(root, "apply")(apply)
    command(root, "export")(export)


@path_argument
@prune_option
@yes_option
def apply(desk: Desk, printer: Printer, path: Path, prune: bool, yes: bool) -> None:
    """Make an installation what files say, in one transaction; a file manages only what it names."""
    if prune and not yes:
        _confirm_pruning(desk, path)
    print_changes(printer, handed_in(desk, "/v1/declarations/apply", path, prune))


@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--replace", is_flag=True, help="Remove .toml files of FOLDER that are of nothing that is there."
)
def export(desk: Desk, printer: Printer, folder: Path | None, replace: bool) -> None:
    """Write what is there as files that change nothing when they are applied; without FOLDER to stdout.

    A folder with other .toml files is refused without --replace: applied, they would make what is gone again.
    """
    files = desk.api.get("/v1/declarations")["items"]
    if folder is None:
        if printer.as_json:
            printer.many(files, ())
            return
        for file in files:
            click.echo(f"# {file['path']}\n{file['text']}")
        return
    others = _others(folder, {folder / file["path"] for file in files})
    if others and not replace:
        raise CommandFailed(
            "other-files",
            "These files are of nothing that is there, and applying the folder would make it again:\n"
            + "\n".join(map(str, others)),
            "Export into another folder, or remove them with --replace. Nothing was written.",
        )
    with writing(folder):
        for file in files:
            target = folder / file["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file["text"], "utf-8")
        for other in others:
            other.unlink()
    printer.many([{"name": file["path"], **file} for file in files], ("path",), "nothing is there")


def _others(folder: Path, written: Container[Path]) -> list[Path]:
    """The documents of a folder that an export does not write."""
    return [file for file in sorted(documents_in(folder)) if file not in written] if folder.is_dir() else []


def handed_in(desk: Desk, operation: str, path: Path, prune: bool) -> Any:
    """What an operation answers to the files at a path."""
    files = read_documents(path, "declarations-invalid")
    return desk.api.post(operation, {"files": files, "prune": prune})


def print_changes(printer: Printer, plan: Mapping[str, Any]) -> None:
    """A plan: the document, or a line for each field."""
    if printer.as_json:
        printer.one(plan)
        return
    if not plan["changes"]:
        printer.say("no changes")
        return
    rows = [
        {**change, **field}
        for change in plan["changes"]
        for field in (change["fields"] if change["fields"] and not printer.quiet else [{}])
    ]
    printer.many(rows, CHANGE_COLUMNS)


def _confirm_pruning(desk: Desk, path: Path) -> None:
    plan = handed_in(desk, "/v1/declarations/plan", path, True)
    gone = [change for change in plan["changes"] if change["action"] == "delete"]
    for change in gone:
        owner = f" of {change['tenant']}" if change["tenant"] else ""
        click.echo(f"would be taken away: {change['kind']} {change['name']}{owner}", err=True)
    if gone:
        confirm(f"Take these {len(gone)} away?", yes=False)
