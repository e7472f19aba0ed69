"""`domain`: what mail is sent from, what is to be published for it, and what DNS shows of that."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.domainviews import add_views
from gateway.faces.cli.commands.publishing import names
from gateway.faces.cli.commands.tenancy import environment_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, grace_option, list_options
from gateway.faces.cli.output import Printer

DOMAIN_COLUMNS = ("name", "kind", "state", "environment", "tenant_id", "id")
WAITING_COLUMNS = ("address", "grant_id", "reason")
RECORD_COLUMNS = ("name", "type", "purpose", "need", "publisher", "state", "value")
CHECK_COLUMNS = ("name", "type", "purpose", "state", "propagation", "found", "hint")
HISTORY_COLUMNS = ("at", "name", "type", "before", "after", "found", "hint")


def add_to(root: click.Group) -> None:
    """Register the group."""
    add_views(domain)
    root.add_command(domain)
    for name, one in names.commands.items():
        domain.add_command(one, name)


@click.group()
def domain() -> None:
    """Domains that mail is sent from."""


@command(domain, "add")
@click.argument("domain")
@click.option("--tenant", required=True)
@click.option("--mode", type=click.Choice(["send", "send-receive"]), default="send", show_default=True)
@environment_option
@label_options
def domain_add(desk: Desk, printer: Printer, domain: str, **options: Any) -> None:
    """Add a tenant's domain and make its keys; `domain records` says what to publish."""
    printer.one(desk.api.post("/v1/domains", labelled({"name": domain, **options})))
    printer.say(
        f"Publish what `gatepost domain records {domain}` lists, then `gatepost domain verify {domain}`."
    )


@command(domain, "add-trial")
@click.option("--tenant", required=True)
@environment_option
def domain_add_trial(desk: Desk, printer: Printer, **options: Any) -> None:
    """Give a tenant its trial name in an environment; it may send at once."""
    printer.one(desk.api.post("/v1/domains/trial", options))


@command(domain, "list")
@list_options("name", "tenant", "environment", "kind", "state", "client_id", sorts=NAMED, by="name")
def domain_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Domains."""
    printer.many(desk.api.list("/v1/domains", **query), DOMAIN_COLUMNS, "no domains")


@command(domain, "show")
@click.argument("domain")
def domain_show(desk: Desk, printer: Printer, domain: str) -> None:
    """One domain: its state, and what is missing."""
    printer.one(desk.api.get(at("/v1/domains/{}", domain)))


@command(domain, "update")
@click.argument("domain")
@click.option("--mode", type=click.Choice(["send", "send-receive"]))
@label_options
def domain_update(desk: Desk, printer: Printer, domain: str, **changes: Any) -> None:
    """Change whether a domain receives, or your own words for it."""
    printer.one(desk.api.patch(at("/v1/domains/{}", domain), labelled(changes)))


@command(domain, "records")
@click.argument("domain")
@click.option("--format", "form", type=click.Choice(["table", "bind", "email", "json"]), default="table")
@click.option("--origin", help="bind: names relative to this zone.")
def domain_records(desk: Desk, printer: Printer, domain: str, form: str, origin: str | None) -> None:
    """The DNS records to publish for a domain."""
    rows = desk.api.get(at("/v1/domains/{}/records", domain))["items"]
    if form == "json":
        print(json.dumps(rows, indent=2))
    elif printer.as_json or printer.quiet:
        printer.many(rows, RECORD_COLUMNS)
    elif form == "table":
        print_records(printer, rows)
    else:
        # Who wants a table does not pay for loading what writes zone files.
        from gateway.faces.cli.recordforms import email_text, zone_snippet

        shown = desk.api.get(at("/v1/domains/{}", domain)) if form == "email" else {}
        print(email_text(shown, rows) if form == "email" else zone_snippet(rows, origin), end="")


@command(domain, "promote")
@click.argument("domain")
def domain_promote(desk: Desk, printer: Printer, domain: str) -> None:
    """Give the accounts that wait for an active domain their addresses on it."""
    found = desk.api.post(at("/v1/domains/{}/promote", domain))
    if printer.as_json:
        printer.one(found)
        return
    rows = [{**row, "state": state} for state in ("promoted", "waiting") for row in found[state]]
    printer.many(rows, ("state", *WAITING_COLUMNS), "nobody waits for an address")


@command(domain, "waiting")
@click.argument("domain")
def domain_waiting(desk: Desk, printer: Printer, domain: str) -> None:
    """The addresses that accounts get once a domain is active."""
    rows = desk.api.get(at("/v1/domains/{}/waiting", domain))["items"]
    printer.many(rows, WAITING_COLUMNS, "nobody waits for an address")


@command(domain, "verify")
@click.argument("domain")
def domain_verify(desk: Desk, printer: Printer, domain: str) -> None:
    """Look at the domain's DNS now."""
    _print_check(printer, desk.api.post(at("/v1/domains/{}/verify", domain)))


@command(domain, "verification")
@click.argument("domain")
def domain_verification(desk: Desk, printer: Printer, domain: str) -> None:
    """What the last look at the domain's DNS found, and when the next one is."""
    _print_check(printer, desk.api.get(at("/v1/domains/{}/verify", domain)))


@command(domain, "history")
@click.argument("domain")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
def domain_history(desk: Desk, printer: Printer, domain: str, limit: int) -> None:
    """What was observed of the domain's records and when, the newest first."""
    rows = desk.api.get(at("/v1/domains/{}/history", domain), limit=limit)["items"]
    printer.many(rows, HISTORY_COLUMNS, "nothing was observed yet")


@command(domain, "mark-verified")
@click.argument("domain")
@click.option("--reason", required=True, help="Why it may be used without proof by DNS; goes into the audit.")
def domain_mark_verified(desk: Desk, printer: Printer, domain: str, reason: str) -> None:
    """Make a domain usable on the operator's word."""
    printer.one(desk.api.post(at("/v1/domains/{}/mark-verified", domain), {"reason": reason}))


@command(domain, "delete")
@click.argument("domain")
@grace_option
@yes_option
def domain_delete(desk: Desk, printer: Printer, domain: str, grace_seconds: float | None, yes: bool) -> None:
    """Send nothing more with a domain; it is released after its time of grace."""
    confirm(f"Delete the domain {domain}?", yes)
    printer.one(desk.api.delete(at("/v1/domains/{}", domain), grace_seconds=grace_seconds))


@command(domain, "restore")
@click.argument("domain")
def domain_restore(desk: Desk, printer: Printer, domain: str) -> None:
    """Have a domain back that is in its time of grace."""
    printer.one(desk.api.post(at("/v1/domains/{}/restore", domain)))


def print_records(printer: Printer, rows: list[dict[str, Any]]) -> None:
    """A table of records, and below it what is to be known of each: of its making, and of what is there."""
    needs = {True: "required", False: "recommended"}
    printer.many([{**row, "need": needs[row["required"]]} for row in rows], RECORD_COLUMNS, "no records")
    for row in rows:
        wrong = row["hint"] if row["state"] != "valid" or row["propagation"] != "everywhere" else None
        for words in filter(None, (row["note"], wrong)):
            printer.say(f"\n{row['type']} {row['name']}\n  {' '.join(words.split())}")


def _print_check(printer: Printer, found: dict[str, Any]) -> None:
    """The domain with its records as one object, or the domain and a table of them."""
    about = {name: value for name, value in found.items() if name not in ("domain", "records")}
    row = found["domain"] | about
    if printer.as_json:
        printer.one(row | {"records": found["records"]})
        return
    printer.one(row)
    printer.many(found["records"], CHECK_COLUMNS)
