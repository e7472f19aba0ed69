"""`plan`: tiers, the most a tenant may have."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command
from gateway.faces.cli.commands.policies import VERSION_COLUMNS
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import list_options
from gateway.faces.cli.output import Printer


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(plan)


@click.group()
def plan() -> None:
    """Tiers: the most a tenant may have. `policy apply` changes them."""


@command(plan, "list")
@list_options("client_id", sorts=("name", "created_at", "updated_at"))
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


@command(plan, "versions")
@click.argument("plan")
def plan_versions(desk: Desk, printer: Printer, plan: str) -> None:
    """Every version of a plan, newest first."""
    printer.many(desk.api.list(at("/v1/plans/{}/versions", plan)), VERSION_COLUMNS)
