"""`plan`: what a folder of declarations would change; and tiers, the most a tenant may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.declarations import handed_in, print_changes, prune_option
from gateway.faces.cli.commands.policies import VERSION_COLUMNS, exit_code_option, path_argument
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, list_options
from gateway.faces.cli.output import EXIT_CHANGES, Printer

_PATH = "path"


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(plan)


class _PathOrCommand(click.Group):
    """`plan list` is a command of the group, `plan PATH` what `plan_path` does."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and the files and folders that PATH may be."""
        found = super().shell_complete(ctx, incomplete)
        # The first, since a shell forgets for it what it was told before.
        return [CompletionItem(incomplete, type="file"), *found]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        if words and words[0] not in self.commands:
            args = [_PATH, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_PathOrCommand, invoke_without_command=True)
@click.pass_context
def plan(context: click.Context) -> None:
    """What applying the declarations of PATH would change; and tiers, the most a tenant may have.

    `gatepost plan PATH [--prune] [--exit-code]` shows what `gatepost apply PATH` would do. A folder that is
    called like a command is `./list`.
    """
    if context.invoked_subcommand is None:
        raise click.UsageError("Missing argument 'PATH', or a command.", context)


@command(plan, _PATH, hidden=True)
@path_argument
@prune_option
@exit_code_option
def plan_path(desk: Desk, printer: Printer, path: Path, prune: bool, with_code: bool) -> None:
    """Show what `apply` would change; nothing is changed."""
    found = handed_in(desk, "/v1/declarations/plan", path, prune)
    print_changes(printer, found)
    if with_code and found["changes"]:
        raise SystemExit(EXIT_CHANGES)


@command(plan, "list")
@list_options("name", "client_id", sorts=NAMED)
def plan_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """All plans."""
    printer.many(desk.api.list("/v1/plans", **query), ("name", "version", "updated_at", "id"), "no plans")


@command(plan, "show")
@click.argument("plan")
@click.option("--version", type=int, help="An earlier version.")
def plan_show(desk: Desk, printer: Printer, plan: str, version: int | None) -> None:
    """One plan, with its document."""
    printer.one(desk.api.get(at("/v1/plans/{}", plan), version=version))


@command(plan, "update")
@click.argument("plan")
@label_options
def plan_update(desk: Desk, printer: Printer, plan: str, **options: Any) -> None:
    """Change your own words for a plan; `policy apply` changes its document."""
    printer.one(desk.api.patch(at("/v1/plans/{}", plan), labelled(options)))


@command(plan, "delete")
@click.argument("plan")
@yes_option
def plan_delete(desk: Desk, printer: Printer, plan: str, yes: bool) -> None:
    """Take away a plan that no tenant is on; what it said stays in the audit."""
    confirm(f"Delete the plan {plan}?", yes)
    printer.one(desk.api.delete(at("/v1/plans/{}", plan)))


@command(plan, "versions")
@click.argument("plan")
def plan_versions(desk: Desk, printer: Printer, plan: str) -> None:
    """Every version of a plan, newest first."""
    printer.many(desk.api.get(at("/v1/plans/{}/versions", plan))["items"], VERSION_COLUMNS)
