"""`message`: sending, and every message that was accepted."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command
from gateway.faces.cli.commands.mail import EVENT_COLUMNS, QUEUE_COLUMNS, STATES
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import Printer

MESSAGE_COLUMNS = ("id", "created_at", "from_address", "subject", "size", "states")


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(message)


@click.group()
def message() -> None:
    """Messages that were accepted, and sending them."""


@command(message, "list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--workspace", help="Only out of this workspace.")
@click.option("--account", help="Only this account's.")
@click.option("--state", type=click.Choice(STATES), help="Only with a recipient in this state.")
@click.option("--stream", help="Only of this stream.")
@click.option("--recipient", help="Only to this address.")
@click.option("--message-id", help="Only with this Message-ID.")
@click.option("--since", help="From then on: 2026-11-26T00:00:00Z.")
@click.option("--until", help="Before then.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
def message_list(desk: Desk, printer: Printer, limit: int, **filters: Any) -> None:
    """Messages, the newest first."""
    printer.many(desk.api.list("/v1/messages", most=limit, **filters), MESSAGE_COLUMNS, "no messages")


@command(message, "show")
@click.argument("message-id")
def message_show(desk: Desk, printer: Printer, message_id: str) -> None:
    """One message with each of its recipients and all that happened to it."""
    row = desk.api.get(at("/v1/messages/{}", message_id))
    if printer.as_json:
        printer.one(row)
        return
    recipients, events = row.pop("recipients"), row.pop("events")
    printer.one(row)
    printer.many(recipients, QUEUE_COLUMNS[1:])
    printer.many(events, EVENT_COLUMNS)
