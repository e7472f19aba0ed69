"""`limit`: limits raised for a time, within the plan."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm_at_terminal, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import list_options, moment
from gateway.faces.cli.output import Printer

LIMIT_COLUMNS = ("name", "limits", "until", "state", "reason", "created_by", "id")


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(limit)


@click.group()
def limit() -> None:
    """Limits raised for a time, within the plan."""


@command(limit, "raise")
@click.argument("target", metavar="ACCOUNT|TENANT")
@click.argument("limits", nargs=-1, required=True, metavar="LIMIT=VALUE...")
@click.option("--until", required=True, help="When it ends: 2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--reason", required=True, help="Why; goes into the audit.")
@label_options
def limit_raise(
    desk: Desk, printer: Printer, target: str, limits: tuple[str, ...], until: str, **options: Any
) -> None:
    """Raise limits, such as daily=500 or storage=2GiB; effective within a second."""
    body = {"target": target, "limits": _pairs(limits), "until": moment(until), **options}
    printer.one(desk.api.post("/v1/limits", labelled(body)))


@command(limit, "list")
@list_options("tenant", "account", "state", "client_id", sorts=("created_at", "until"))
def limit_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Raised limits: active, ended, revoked."""
    printer.many(desk.api.list("/v1/limits", **query), LIMIT_COLUMNS, "no raised limits")


@command(limit, "show")
@click.argument("limit")
def limit_show(desk: Desk, printer: Printer, limit: str) -> None:
    """One raise, by its id."""
    printer.one(desk.api.get(at("/v1/limits/{}", limit)))


@command(limit, "update")
@click.argument("limit")
@label_options
def limit_update(desk: Desk, printer: Printer, limit: str, **options: Any) -> None:
    """Change your own words for a raise; another raise says other limits."""
    printer.one(desk.api.patch(at("/v1/limits/{}", limit), labelled(options)))


@command(limit, "revoke")
@click.argument("limit")
@yes_option
def limit_revoke(desk: Desk, printer: Printer, limit: str, yes: bool) -> None:
    """End a raise now."""
    confirm_at_terminal(f"End the raise {limit} now?", yes)
    printer.one(desk.api.delete(at("/v1/limits/{}", limit)))


def _pairs(limits: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in limits:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise click.BadParameter(f"{text!r} is not LIMIT=VALUE.", param_hint="'LIMIT=VALUE...'")
        pairs[name] = value
    return pairs
