"""`message`: sending, and every message that was accepted."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path
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


def _fields(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    fields = {}
    for line in given:
        name, colon, value = line.partition(":")
        if not colon:
            raise click.BadParameter(f"{line!r} is not Name: value.", context, parameter)
        fields[name.strip()] = value.strip()
    return fields


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


@command(message, "send")
@click.argument("account")
@click.option("--to", multiple=True, help="Local@domain or Name <local@domain>; may be repeated.")
@click.option("--cc", multiple=True)
@click.option("--bcc", multiple=True)
@click.option("--from", "sender", help="Another of the account's addresses.")
@click.option("--reply-to", multiple=True)
@click.option("--subject", default="")
@click.option("--text", type=click.File("r", encoding="utf-8"), help="A file with the text; - is stdin.")
@click.option("--html", type=click.File("r", encoding="utf-8"), help="A file with the HTML.")
@click.option("--attach", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--header", "headers", multiple=True, callback=_fields, help="Name: value; may be repeated.")
@click.option("--raw", type=click.File("rb"), help="A whole message (RFC 5322) instead of the above.")
@click.option("--stream")
@click.option("--tag", "tags", multiple=True)
@click.option("--send-at", help="Not before then: 2026-11-26T15:04:05Z.")
@click.option("--idempotency-key", help="The same again within 24 hours is sent once.")
def message_send(desk: Desk, printer: Printer, account: str, raw: Any, **options: Any) -> None:
    """Send a message as an account, given by address or grant id."""
    path = at("/v1/accounts/{}/messages", account)
    key = options.pop("idempotency_key")
    headers = {"Idempotency-Key": key} if key else {}
    if raw is not None:
        query = {"recipient": [*options["to"], *options["cc"], *options["bcc"]], "tag": options["tags"]}
        query |= {name: options[name] for name in ("stream", "send_at")}
        typed = {**headers, "Content-Type": "message/rfc822"}
        printer.one(desk.api.call("POST", path, raw.read(), query, typed))
        return
    printer.one(desk.api.call("POST", path, _body(**options), headers=headers))


def _body(*, sender: str | None, text: Any, html: Any, attach: Sequence[Path], **same: Any) -> dict[str, Any]:
    """The options as a request; what was not given is not in it."""
    given = {
        **same,
        "from": sender,
        "text": text.read() if text is not None else None,
        "html": html.read() if html is not None else None,
        "attachments": [_attached(file) for file in attach],
    }
    return {name: value for name, value in given.items() if value not in (None, (), [], {}, "")}


def _attached(file: Path) -> dict[str, str]:
    kind, _ = mimetypes.guess_type(file.name)
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return {"name": file.name, "type": kind or "application/octet-stream", "content": content}
