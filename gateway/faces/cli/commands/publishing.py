"""`platform records`, `domain pending|reconcile|delegate`: the platform's names, and who may have which."""

from __future__ import annotations

import json

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import EXIT_FAILED, Printer

RECORD_COLUMNS = ("name", "type", "purpose", "required", "value", "note")
CHANGE_COLUMNS = ("action", "name", "type", "values", "found", "error", "next_attempt_at")
DELEGATION_COLUMNS = ("domain", "delegate_id", "created_at", "id")
FORMATS = click.Choice(["table", "bind", "json"])


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(platform)


@click.group()
def platform() -> None:
    """The installation itself."""


@command(platform, "records")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def platform_records(desk: Desk, printer: Printer, form: str) -> None:
    """The DNS records that the operator's own zones must have."""
    rows = desk.api.get("/v1/platform/records")["items"]
    if form == "json":
        print(json.dumps(rows, indent=2))
    elif form == "table" or printer.as_json:
        printer.many(rows, RECORD_COLUMNS, "no records")
    else:
        # Who wants a table does not pay for loading what writes zone files.
        from gateway.faces.cli.recordforms import zone_snippet

        # The way back from an address stands in the zone of whoever owns it.
        reverse = [row for row in rows if row["type"] == "PTR"]
        print(zone_snippet([row for row in rows if row not in reverse]), end="")
        for line in zone_snippet(reverse).splitlines() if reverse else ():
            print(line if line.startswith(";") else f"; {line}")


@click.group()
def names() -> None:
    """What the group `domain` has of this."""


@command(names, "pending")
def domain_pending(desk: Desk, printer: Printer) -> None:
    """Changes of the platform's zones that are not made yet, and why."""
    rows = desk.api.get("/v1/publishing/pending")["items"]
    printer.many(rows, CHANGE_COLUMNS, "everything is published")


@command(names, "reconcile")
@click.option("--dry-run", is_flag=True, help="Only say what differs.")
def domain_reconcile(desk: Desk, printer: Printer, dry_run: bool) -> None:
    """Compare the platform's names with DNS and mend what differs; exit status 1 if something stays."""
    rows = desk.api.post("/v1/publishing/reconcile", {"dry_run": dry_run})["items"]
    printer.many(rows, CHANGE_COLUMNS, "nothing differs")
    if any(row["error"] for row in rows):
        raise SystemExit(EXIT_FAILED)


to_option = click.option(
    "--to", required=True, metavar="TENANT", help="The tenant's id; the operator may say its name."
)


@command(names, "delegate")
@click.argument("domain")
@to_option
def domain_delegate(desk: Desk, printer: Printer, domain: str, to: str) -> None:
    """Let another tenant claim names below a proved domain."""
    printer.one(desk.api.post(at("/v1/domains/{}/delegations", domain), {"to": to}))


@command(names, "undelegate")
@click.argument("domain")
@to_option
def domain_undelegate(desk: Desk, printer: Printer, domain: str, to: str) -> None:
    """Let a tenant claim nothing more below a domain; what it has there stays."""
    printer.one(desk.api.post(at("/v1/domains/{}/delegations/revoke", domain), {"to": to}))


@command(names, "delegations")
@click.argument("domain")
def domain_delegations(desk: Desk, printer: Printer, domain: str) -> None:
    """Who may claim names below a domain."""
    rows = desk.api.get(at("/v1/domains/{}/delegations", domain))["items"]
    printer.many(rows, DELEGATION_COLUMNS, "nobody")
