"""`queue`, `trace`, `refused`: where mail is, and what became of it."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import CommandFailed, Printer
from gateway.faces.rendering import plain

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
def queue_list(desk: Desk, printer: Printer, **filters: Any) -> None:
    """Recipients in the queue."""
    printer.many(
        queue_rows(desk, desk.queue.list(**resolved(desk, filters))), QUEUE_COLUMNS, "the queue is empty"
    )


@command(queue, "show")
@click.argument("message-id")
def queue_show(desk: Desk, printer: Printer, message_id: str) -> None:
    """One message with each of its recipients."""
    found = desk.queue.show(message_id)
    row = plain(found)
    row["recipients"] = queue_rows(desk, found.recipients)
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
        change = getattr(desk.queue, name)
        rows = change(desk.actor, message_id, recipient=recipient, reason=reason)
        printer.many(queue_rows(desk, rows), QUEUE_COLUMNS, "nothing to change")

    run.__doc__ = help_text
    command(queue, name)(run)


_changes("retry", "Try waiting recipients again now.")
_changes("hold", "Keep recipients back until they are released.")
_changes("release", "Let held recipients go.")
_changes("drop", "Give recipients up without a report.", question="Drop {} for ever, without a report?")


@click.argument("what")
def trace(desk: Desk, printer: Printer, what: str) -> None:
    """What became of a message: by its id, its Message-ID, or a recipient's address."""
    rows = [plain(event) for event in desk.queue.trace(what)]
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
def refused_list(desk: Desk, printer: Printer, **filters: Any) -> None:
    """The latest refusals: when, who, to whom, the reply and its rule."""
    rows = map(plain, desk.queue.refused(**resolved(desk, filters)))
    columns = ("at", "client_address", "reverse_path", "from_address", "recipients", "reply", "rule")
    printer.many(rows, columns, "nothing was refused")


def resolved(desk: Desk, filters: dict[str, Any]) -> dict[str, Any]:
    """The filters with names of tenants, accounts and shards made ids."""
    services, actor = desk.services, desk.actor
    rooms = (("tenant", services.tenants), ("account", services.accounts), ("shard", services.shards))
    ids: dict[str, Any] = {f"{name}_id": None for name, _ in rooms if name in filters}
    for name, room in rooms:
        reference = filters.pop(name, None)
        if reference is not None:
            ids[f"{name}_id"] = room.show(actor, reference).id
    return filters | ids


def queue_rows(desk: Desk, rows: Any) -> list[dict[str, Any]]:
    """Queue rows with the names of shards and accounts instead of their ids."""
    shards: dict[str, str] = {}
    accounts: dict[str, str] = {}
    listed = [plain(row) for row in rows]
    if listed:
        shards = {shard.id: shard.name for shard in desk.services.shards.list(desk.actor)}
    for row in listed:
        account_id = row.get("account_id")
        if account_id is not None and account_id not in accounts:
            accounts[account_id] = _address(desk, account_id)
        row["account"] = accounts.get(account_id)
        row["shard"] = shards.get(row.get("shard_id"), row.get("shard_id"))
    return listed


def _address(desk: Desk, account_id: str) -> str:
    from gateway.control.errors import NotFound

    try:
        return str(desk.services.accounts.show(desk.actor, account_id).address)
    except NotFound:
        return account_id
