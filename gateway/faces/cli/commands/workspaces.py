"""`workspace`: containers of policy."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.moves import MOVE_COLUMNS, move_rows
from gateway.faces.cli.commands.tenancy import environment_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, list_options
from gateway.faces.cli.output import Printer

WORKSPACE_COLUMNS = ("name", "environment", "policy", "location", "tenant_id", "is_default", "id")

pattern_option = click.option(
    "--pattern", "patterns", multiple=True, help="Replaces its domain patterns; may be repeated."
)
default_option = click.option(
    "--default", is_flag=True, help="Make it the default of its owner in its environment."
)


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(workspace)


@click.group()
def workspace() -> None:
    """Policy containers: every account is in exactly one."""


@command(workspace, "create")
@click.argument("name")
@click.option("--tenant", help="Its owner; without one it is shared by all tenants.")
@click.option("--policy", default="default", show_default=True, help="What binds its accounts.")
@click.option(
    "--pattern", "patterns", multiple=True, help="Accounts of domains like this come here: *.acme.com"
)
@default_option
@click.option("--location", help="Where its data lives.")
@environment_option
@label_options
def workspace_create(desk: Desk, printer: Printer, name: str, **options: Any) -> None:
    """Create a workspace."""
    printer.one(desk.api.post("/v1/workspaces", labelled({"name": name, **options})))


@command(workspace, "list")
@list_options(
    *("name", "tenant", "environment", "policy", "location", "default", "client_id"), sorts=NAMED, by="name"
)
def workspace_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """All workspaces; with --tenant its own and the shared ones ("shared": these alone)."""
    printer.many(desk.api.list("/v1/workspaces", **query), WORKSPACE_COLUMNS, "no workspaces")


@command(workspace, "show")
@click.argument("workspace")
def workspace_show(desk: Desk, printer: Printer, workspace: str) -> None:
    """One workspace."""
    printer.one(desk.api.get(at("/v1/workspaces/{}", workspace)))


@command(workspace, "update")
@click.argument("workspace")
@click.option("--policy", help="Another policy; every account follows within a second.")
@click.option("--name")
@click.option("--location", help="Where new accounts live.")
@pattern_option
@default_option
@label_options
def workspace_update(
    desk: Desk,
    printer: Printer,
    workspace: str,
    patterns: tuple[str, ...],
    default: bool,
    **options: Any,
) -> None:
    """Change a workspace; `workspace preview` shows beforehand whom its patterns would move."""
    changes = labelled({**options, "patterns": patterns or None, "default": default or None})
    printer.one(desk.api.patch(at("/v1/workspaces/{}", workspace), changes))


@command(workspace, "preview")
@click.argument("workspace")
@pattern_option
@default_option
def workspace_preview(
    desk: Desk, printer: Printer, workspace: str, patterns: tuple[str, ...], default: bool
) -> None:
    """Which accounts other patterns would move, and what changes for each; nothing is changed."""
    body = {"patterns": patterns or None, "default": default}
    found = desk.api.post(at("/v1/workspaces/{}/preview", workspace), body)
    printer.many(move_rows(printer, found["items"]), MOVE_COLUMNS, "no account would move")


@command(workspace, "delete")
@click.argument("workspace")
@yes_option
def workspace_delete(desk: Desk, printer: Printer, workspace: str, yes: bool) -> None:
    """Take away a workspace without accounts, and the API keys limited to it."""
    confirm(f"Delete the workspace {workspace}?", yes)
    printer.one(desk.api.delete(at("/v1/workspaces/{}", workspace)))
