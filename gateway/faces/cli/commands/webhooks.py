"""`webhook`: where events are sent, and what became of sending them."""

from __future__ import annotations

from typing import Any

import click

from gateway.control.records import ENVIRONMENTS
from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import list_options, moment
from gateway.faces.cli.output import Printer

WEBHOOK_COLUMNS = ("url", "events", "state", "environment", "tenant_id", "id")
DELIVERY_COLUMNS = (
    *("event_at", "event", "subject", "state", "attempts"),
    *("next_attempt_at", "last_status", "last_error", "id"),
)


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(webhook)


@click.group()
def webhook() -> None:
    """Where events are sent as they happen."""


def _what_options(function: Any) -> Any:
    decorated = click.option("--description")(function)
    decorated = click.option("--workspace", help="Only what happens in this workspace.")(decorated)
    decorated = click.option("--environment", type=click.Choice(ENVIRONMENTS), help="Only of this one.")(
        decorated
    )
    return click.option(
        "--event", "events", multiple=True, help="message.delivered, message.* or *; may be repeated."
    )(decorated)


@command(webhook, "create")
@click.argument("url")
@click.option("--tenant", help="Whose events; without one (the operator) every tenant's.")
@_what_options
@label_options
def webhook_create(desk: Desk, printer: Printer, url: str, **options: Any) -> None:
    """Make a webhook. Its secret is printed once and can never be shown again."""
    printer.one(desk.api.post("/v1/webhooks", labelled({"url": url, **options})))
    printer.say("Keep the secret now: receivers check signatures with it (Standard Webhooks).")


@command(webhook, "list")
@list_options(
    *("tenant", "url", "environment", "state", "client_id"), sorts=("created_at", "updated_at", "url")
)
def webhook_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Webhooks, without their secrets."""
    printer.many(desk.api.list("/v1/webhooks", **query), WEBHOOK_COLUMNS, "no webhooks")


@command(webhook, "show")
@click.argument("webhook")
def webhook_show(desk: Desk, printer: Printer, webhook: str) -> None:
    """One webhook, by id or URL."""
    printer.one(desk.api.get(at("/v1/webhooks/{}", webhook)))


@command(webhook, "update")
@click.argument("webhook")
@click.option("--url", help="Another address.")
@_what_options
@label_options
def webhook_update(
    desk: Desk, printer: Printer, webhook: str, events: tuple[str, ...], **options: Any
) -> None:
    """Change where a webhook leads, or what it is told."""
    changes = labelled({**options, "events": events or None})
    printer.one(desk.api.patch(at("/v1/webhooks/{}", webhook), changes))


@command(webhook, "rotate-secret")
@click.argument("webhook")
@click.option("--overlap", type=float, help="Seconds for which the old secret signs too.  [default: a day]")
def webhook_rotate_secret(desk: Desk, printer: Printer, webhook: str, overlap: float | None) -> None:
    """Make a new secret, printed once."""
    body = {"overlap_seconds": overlap} if overlap is not None else None
    printer.one(desk.api.post(at("/v1/webhooks/{}/rotate-secret", webhook), body))


@command(webhook, "pause")
@click.argument("webhook")
def webhook_pause(desk: Desk, printer: Printer, webhook: str) -> None:
    """Let its events wait, for at most 14 days."""
    printer.one(desk.api.post(at("/v1/webhooks/{}/pause", webhook)))


@command(webhook, "resume")
@click.argument("webhook")
def webhook_resume(desk: Desk, printer: Printer, webhook: str) -> None:
    """Let a paused or disabled webhook go on."""
    printer.one(desk.api.post(at("/v1/webhooks/{}/resume", webhook)))


@command(webhook, "delete")
@click.argument("webhook")
@yes_option
def webhook_delete(desk: Desk, printer: Printer, webhook: str, yes: bool) -> None:
    """Take a webhook and its secrets away; events that wait for it are not sent."""
    confirm(f"Delete the webhook {webhook}?", yes)
    printer.one(desk.api.delete(at("/v1/webhooks/{}", webhook)))


@command(webhook, "deliveries")
@click.argument("webhook")
@click.option("--state", type=click.Choice(["pending", "delivered", "failed", "skipped"]))
@click.option("--most", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
def webhook_deliveries(desk: Desk, printer: Printer, webhook: str, **query: Any) -> None:
    """What became of the last 14 days' events for it, the newest first."""
    rows = desk.api.list(at("/v1/webhooks/{}/deliveries", webhook), **query)
    nothing = f"no {query['state']} deliveries" if query["state"] else "nothing was sent yet"
    printer.many(rows, DELIVERY_COLUMNS, nothing)


@command(webhook, "ping")
@click.argument("webhook")
def webhook_ping(desk: Desk, printer: Printer, webhook: str) -> None:
    """Send an event that tells nothing; `webhook deliveries` shows whether it arrived."""
    printer.one(desk.api.post(at("/v1/webhooks/{}/ping", webhook)))


@command(webhook, "replay")
@click.argument("webhook")
@click.option("--since", required=True, help="2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option("--until", help="As --since; without it until now.")
def webhook_replay(desk: Desk, printer: Printer, webhook: str, since: str, until: str | None) -> None:
    """Send what happened in a time within the last 14 days again, in order."""
    body = {"since": moment(since), "until": moment(until)}
    printer.one(desk.api.post(at("/v1/webhooks/{}/replay", webhook), body))
