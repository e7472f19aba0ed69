"""`usage`, `events`: what was used, and what happens."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.options import moment
from gateway.faces.cli.output import EXIT_INTERRUPTED, Printer

EVENT_COLUMNS = ("time", "type", "subject", "tenantid", "id")
USAGE_COLUMNS = (
    "month",
    "tenant",
    "workspace",
    "plan",
    "accepted",
    "recipients",
    "delivered",
    "stored_bytes",
)
_WAIT_SECONDS = 20

types_option = click.option(
    "--type", "types", multiple=True, help="Only these, message.delivered, domain.*; may be repeated."
)


def add_to(root: click.Group) -> None:
    """Register the commands."""
    command(root, "usage")(usage)
    root.add_command(events)


@click.option("--month", required=True, help="As 2026-11, in UTC.")
@click.option("--by", default="", help="tenant, workspace, plan; several with commas.  [default: all three]")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values.")
def usage(desk: Desk, printer: Printer, month: str, by: str, as_csv: bool) -> None:
    """What tenants used in a month: messages accepted, recipients, delivered, octets stored."""
    form = "csv" if as_csv else "json"
    found = desk.api.get("/v1/usage", month=month, by=by, format=form)
    if as_csv:
        click.echo(found, nl=False)
    else:
        printer.many(found["items"], USAGE_COLUMNS, "nothing was used")


@click.group()
def events() -> None:
    """What happens: accounts, domains, messages, quotas."""


@command(events, "list")
@types_option
@click.option("--since", help="From then on: 2027-01-31 or 2027-01-31T12:00:00Z.  [default: the oldest]")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True)
@click.option("--cursor", help="Go on where another page ended.")
def events_list(desk: Desk, printer: Printer, since: str | None, **query: Any) -> None:
    """Events of the last 14 days, the oldest first."""
    page = desk.api.get("/v1/events", since=moment(since), **query)
    printer.many(page["items"], EVENT_COLUMNS, "no events")
    printer.say(f"Go on with --cursor {page['next_cursor']}")


@command(events, "tail")
@types_option
@click.option("--since", help="Begin then, not now: 2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--since-oldest", is_flag=True, help="Begin with the oldest of the last 14 days.")
@click.option("--most", type=click.IntRange(1), help="End after so many.")
def events_tail(
    desk: Desk,
    printer: Printer,
    types: tuple[str, ...],
    since: str | None,
    since_oldest: bool,
    most: int | None,
) -> None:
    """Print events as they happen, one a line, until Ctrl-C."""
    try:
        begin = {"start": "oldest" if since_oldest else "now", "since": moment(since)}
        _follow(desk, printer, types, begin, most)
    except KeyboardInterrupt:
        # This is how it ends, not how it is broken off.
        raise SystemExit(EXIT_INTERRUPTED) from None


def _follow(
    desk: Desk, printer: Printer, types: tuple[str, ...], begin: dict[str, Any], most: int | None
) -> None:
    left = most
    while left is None or left > 0:
        page = desk.api.get("/v1/events", types=types, wait=_WAIT_SECONDS, **begin)
        begin = {"cursor": page["next_cursor"]}
        if page["lost"]:
            click.echo("Events older than what is kept are lost.", err=True)
        for event in page["items"][:left]:
            _print(printer, event)
        left = None if left is None else left - len(page["items"])


def _print(printer: Printer, event: dict[str, Any]) -> None:
    if printer.as_json:
        click.echo(json.dumps(event))
    elif printer.quiet:
        click.echo(event["id"])
    else:
        click.echo(f"{event['time']}  {event['type']}  {event['subject']}  {json.dumps(event['data'])}")
