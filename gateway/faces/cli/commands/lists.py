"""`list`: domains, top-level domains and addresses that rules name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, list_options, progress_option
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed, Printer
from gateway.faces.cli.progress import Progress

LIST_COLUMNS = ("name", "kind", "items", "tenant_id", "description", "id")
KINDS = ("domain", "tld", "address")
AT_ONCE = 1_000

items_argument = click.argument("items", nargs=-1)
file_option = click.option("--file", type=click.File(), help="One item a line, too; `-` reads stdin.")


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(group)


@click.group("list")
def group() -> None:
    """Domains, top-level domains and addresses that rules name."""


@command(group, "create")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True)
@click.option("--tenant", help="Its owner; without one it is shared by all tenants.")
@click.option("--item", "items", multiple=True, help="May be repeated.")
@click.option("--description")
@label_options
def list_create(desk: Desk, printer: Printer, name: str, **options: Any) -> None:
    """Make a list."""
    printer.one(desk.api.post("/v1/lists", labelled({"name": name, **options})))


@command(group, "list")
@list_options("name", "tenant", "kind", "client_id", sorts=NAMED)
def list_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """All lists; with --tenant its own and the shared ones ("shared": these alone)."""
    printer.many(desk.api.list("/v1/lists", **query), LIST_COLUMNS, "no lists")


@command(group, "show")
@click.argument("list-name")
def list_show(desk: Desk, printer: Printer, list_name: str) -> None:
    """One list; `list items` shows what stands in it."""
    printer.one(desk.api.get(at("/v1/lists/{}", list_name)))


@command(group, "update")
@click.argument("list-name")
@click.option("--name")
@click.option("--description")
@label_options
def list_update(desk: Desk, printer: Printer, list_name: str, **options: Any) -> None:
    """Change what a list is called; rules name it by its name of the moment."""
    printer.one(desk.api.patch(at("/v1/lists/{}", list_name), labelled(options)))


@command(group, "delete")
@click.argument("list-name")
@yes_option
def list_delete(desk: Desk, printer: Printer, list_name: str, yes: bool) -> None:
    """Take a list away at once: rules that name it find nothing in it."""
    confirm(f"Delete the list {list_name}?", yes)
    printer.one(desk.api.delete(at("/v1/lists/{}", list_name)))


@command(group, "items")
@click.argument("list-name")
@list_options("value", sorts=("value",), labelled=False)
def list_items(desk: Desk, printer: Printer, list_name: str, **query: Any) -> None:
    """What stands in a list."""
    rows = desk.api.list(at("/v1/lists/{}/items", list_name), **query)
    printer.many(({**row, "name": row["value"]} for row in rows), ("value", "created_at"), "empty")


@command(group, "add")
@click.argument("list-name")
@items_argument
@file_option
@progress_option
def list_add(desk: Desk, printer: Printer, list_name: str, **given: Any) -> None:
    """Add items, 1000 a request; those that are there stay."""
    printer.one(_in_parts(desk, at("/v1/lists/{}/items", list_name), **given))


@command(group, "remove")
@click.argument("list-name")
@items_argument
@file_option
@progress_option
def list_remove(desk: Desk, printer: Printer, list_name: str, **given: Any) -> None:
    """Take items out, 1000 a request."""
    printer.one(_in_parts(desk, at("/v1/lists/{}/items/remove", list_name), **given))


@command(group, "replace")
@click.argument("list-name")
@items_argument
@file_option
def list_replace(
    desk: Desk, printer: Printer, list_name: str, items: tuple[str, ...], file: IO[str] | None
) -> None:
    """Let these, up to 1000, be all that stands in a list."""
    body = {"items": [*items, *_lines(file)]}
    printer.one(desk.api.put(at("/v1/lists/{}/items", list_name), body))


def _in_parts(
    desk: Desk, path: str, items: tuple[str, ...], file: IO[str] | None, progress: bool | None
) -> Any:
    """Post all items in as many requests as they need; the last reply."""
    every = [*items, *_lines(file)]
    if not every:
        raise CommandFailed("no-items", "No item was given.", "Name items, or a --file of them.", EXIT_USAGE)
    told, reply = Progress("items", len(every), progress), None
    for start in range(0, len(every), AT_ONCE):
        reply = desk.api.post(path, {"items": every[start : start + AT_ONCE]})
        told.at(min(start + AT_ONCE, len(every)))
    return reply


def _lines(file: IO[str] | None) -> Iterator[str]:
    for line in file or ():
        if line.strip() and not line.startswith("#"):
            yield line.strip()
