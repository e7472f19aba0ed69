"""`queue`, `trace`, `refused`: where mail is, and what became of it."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import CommandFailed, Printer

QUEUE_COLUMNS = (
    "id",
    "recipient",
    "state",
    "attempts",
    "next_attempt_at",
    "shard",
    "sender",
    "last_reply",
)
STATES = (
    "live", "all",
    "scheduled", "ready", "owned", "unknown", "waiting", "held", "delivered", "bounced", "expired", "dropped",
)  # fmt: skip
EVENT_COLUMNS = ("at", "message_id", "kind", "recipient", "attempt", "peer", "reply", "actor")


def add_to(root: click.Group) -> None:
    """Register the commands."""
    root.add_command(queue)
    root.add_command(refused)
    command(root, "trace")(trace)
    command(root, "status")(status)


@click.group()
def queue() -> None:
    """Mail that has been accepted, recipient by recipient."""


@command(queue, "list")
@click.option("--state", type=click.Choice(STATES), default="live", show_default=True)
@click.option("--tenant", help="Only this tenant's.")
@click.option("--account", help="Only this account's.")
@click.option("--shard", help="Only through this shard.")
@click.option("--recipient", help="Only to this address.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
def queue_list(desk: Desk, printer: Printer, limit: int, **filters: Any) -> None:
    """Recipients in the queue."""
    printer.many(desk.api.list("/v1/queue", most=limit, **filters), QUEUE_COLUMNS, "the queue is empty")


@command(queue, "show")
@click.argument("message-id")
def queue_show(desk: Desk, printer: Printer, message_id: str) -> None:
    """One message with each of its recipients."""
    row = desk.api.get(at("/v1/queue/{}", message_id))
    if printer.as_json:
        printer.one(row)
        return
    recipients = row.pop("recipients")
    printer.one(row)
    printer.many(recipients, QUEUE_COLUMNS[1:])


def _changes(name: str, help_text: str, *, question: str = "") -> None:
    @click.argument("message-id")
    @click.option("--recipient", help="Only this recipient; all of the message's otherwise.")
    @click.option("--reason", default="", help="Goes into the audit.")
    @yes_option
    def run(
        desk: Desk, printer: Printer, message_id: str, recipient: str | None, reason: str, yes: bool
    ) -> None:
        if question:
            confirm(question.format(message_id), yes)
        body = {"recipient": recipient, "reason": reason}
        changed = desk.api.post(at(f"/v1/queue/{{}}/{name}", message_id), body)
        printer.many(changed["items"], QUEUE_COLUMNS, "nothing to change")

    run.__doc__ = help_text
    command(queue, name)(run)


_changes("retry", "Try waiting recipients again now.")
_changes("hold", "Keep recipients back until they are released.")
_changes("release", "Let held recipients go.")
_changes("drop", "Give recipients up without a report.", question="Drop {} for ever, without a report?")


@click.argument("what")
def trace(desk: Desk, printer: Printer, what: str) -> None:
    """What became of a message: by its id, its Message-ID, or a recipient's address."""
    rows = desk.api.get("/v1/trace", what=what)["items"]
    if not rows:
        raise CommandFailed(
            "nothing-known",
            f"Nothing is known of {what}.",
            "Give the id of a 250 reply, a Message-ID, or a recipient; `gatepost refused list` has refusals.",
        )
    printer.many(rows, EVENT_COLUMNS)


@click.group()
def refused() -> None:
    """Submissions that were not accepted."""


@command(refused, "list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--account", help="Only this account's.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
def refused_list(desk: Desk, printer: Printer, limit: int, **filters: Any) -> None:
    """The latest refusals: when, who, to whom, the reply and its rule."""
    found = desk.api.list("/v1/refused", most=limit, **filters)
    rows = [{"at": row["created_at"], "reverse_path": row["sender"], **row} for row in found]
    columns = ("at", "client_address", "reverse_path", "from_address", "recipients", "reply", "rule")
    printer.many(rows, columns, "nothing was refused")


def status(desk: Desk, printer: Printer) -> None:
    """The installation at a glance: version, how much there is of everything, the queue by state."""
    printer.one({"config": None if desk.is_far else str(desk.config_path), **desk.api.get("/v1/status")})
