"""`audit`: who changed what, whether the record is whole, and how things were at a time."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.history import account_then
from gateway.faces.cli.options import moment
from gateway.faces.cli.output import CommandFailed, Printer

AUDIT_COLUMNS = (
    "database",
    "number",
    "created_at",
    "actor_id",
    "operation",
    "resource_kind",
    "resource_id",
    "id",
)


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(audit)


@click.group()
def audit() -> None:
    """Who changed what."""


@command(audit, "list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--operation", help="Only this one, such as account.update.")
@click.option("--resource", help="Only changes of the thing with this id.")
@click.option("--resource-kind", help="Only changes of accounts, domains …: account.")
@click.option("--actor", help="Only by this one: an id, or cli:ID, api:ID.")
@click.option("--database", help="control, or a location's name.")
@click.option("--since", help="2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--until", help="As --since.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
def audit_list(
    desk: Desk, printer: Printer, limit: int, since: str | None, until: str | None, **query: Any
) -> None:
    """The latest changes."""
    rows = desk.api.list("/v1/audit", most=limit, since=moment(since), until=moment(until), **query)
    printer.many(rows, AUDIT_COLUMNS, "no changes yet")


@command(audit, "show")
@click.argument("entry")
@click.option("--database", help="Whose numbers: control, or a location's name.")
@click.option("--at", "time", help="ENTRY is an account: show it, its workspace and its policy at this time.")
def audit_show(desk: Desk, printer: Printer, entry: str, database: str | None, time: str | None) -> None:
    """One change, before and after; with --at an account as it was then."""
    if time is not None:
        _print_then(desk, printer, entry, time)
    else:
        printer.one(desk.api.get(at("/v1/audit/{}", entry), database=database))


@command(audit, "erase")
@click.argument("entry")
@click.option("--database", help="Whose numbers: control, or a location's name.")
@click.option("--why", help="Why, for the audit.")
@yes_option
def audit_erase(
    desk: Desk, printer: Printer, entry: str, database: str | None, why: str | None, yes: bool
) -> None:
    """Erase what one change held, before and after; the entry stays, and the erasure is one too."""
    confirm(f"Erase what the audit's entry {entry} held? Nothing brings it back.", yes)
    printer.one(desk.api.delete(at("/v1/audit/{}/payload", entry), database=database, why=why))


@command(audit, "as-of")
@click.argument("account")
@click.argument("time")
def audit_as_of(desk: Desk, printer: Printer, account: str, time: str) -> None:
    """An account as it was at a time: its workspace, and the policy that bound it."""
    _print_then(desk, printer, account, time)


@command(audit, "verify")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="[DATABASE=]NUMBER:HASH",
    help="A head from the log (audit_head) that the chain must contain; may be repeated.",
)
def audit_verify(desk: Desk, printer: Printer, heads: tuple[str, ...]) -> None:
    """Look whether every chain of changes is whole; exit 1 and the first broken row otherwise."""
    found = desk.api.get("/v1/audit/verify", head=heads)["items"]
    broken = [one for one in found if not one["whole"]]
    if printer.as_json:
        first = broken[0] if broken else {"whole": True, "problem": None, "number": None, "database": None}
        total = sum(one["entries"] for one in found)
        printer.one({**first, "entries": total, "databases": found})
    else:
        printer.many(found, ("database", "whole", "entries", "number", "problem"))
    if broken:
        said = "; ".join(f"{one['database']}: {one['problem']}" for one in broken)
        raise CommandFailed("audit-broken", said, "Compare with a backup before you trust it.")


@command(audit, "export")
@click.option("--tenant", help="Only this tenant's; by its id also one that is gone.")
@click.option("--since", help="2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--until", help="As --since.")
def audit_export(
    desk: Desk, printer: Printer, tenant: str | None, since: str | None, until: str | None
) -> None:
    """Every change, oldest first: a JSON document a line, written as they come."""
    lines = desk.api.lines("/v1/audit/export", tenant=tenant, since=moment(since), until=moment(until))
    printer.lines(lines)


@command(audit, "report")
@click.option("--tenant", required=True)
@click.option("--from", "since", required=True, help="2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--to", "until", required=True, help="As --from.")
@click.option(
    "--format", "form", type=click.Choice(["json", "csv", "html"]), default="json", show_default=True
)
def audit_report(
    desk: Desk,
    printer: Printer,
    tenant: str,
    since: str,
    until: str,
    form: str,
) -> None:
    """Each account of a tenant: made by whom, workspaces, policies, protocols, passwords over a time."""
    form = "json" if printer.as_json else form
    query = {"since": moment(since), "until": moment(until), "format": form}
    found = desk.api.get(at("/v1/tenants/{}/audit-report", tenant), **query)
    click.echo(json.dumps(found, indent=2) if form == "json" else found, nl=form == "json")


def _print_then(desk: Desk, printer: Printer, account: str, time: str) -> None:
    told = desk.api.get(at("/v1/accounts/{}/then", account), at=moment(time))
    if printer.as_json or printer.quiet:
        printer.one(told)
    else:
        click.echo(account_then(told))
