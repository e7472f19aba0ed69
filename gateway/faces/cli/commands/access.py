"""`api-key`: who may call the API, and for what."""

from __future__ import annotations

from typing import Any

import click

from gateway.control.records import ENVIRONMENTS, RIGHTS
from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.options import list_options
from gateway.faces.cli.output import Printer

KEY_COLUMNS = (
    *("name", "key_id", "scope", "tenant_id", "rights"),
    *("expires_at", "revoked_at", "last_used_at", "id"),
)


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(api_key)


@click.group("api-key")
def api_key() -> None:
    """Keys of the API: shown once, revocable one by one."""


@command(api_key, "create")
@click.argument("name")
@click.option("--tenant", help="Limit it to this tenant.")
@click.option("--workspace", help="Limit it to this workspace.")
@click.option("--environment", type=click.Choice(ENVIRONMENTS), help="Limit it to this environment.")
@click.option("--right", "rights", multiple=True, type=click.Choice(RIGHTS), help="May be repeated; read.")
@click.option("--network", "networks", multiple=True, help="Only from here, such as 192.0.2.0/24.")
@click.option("--expires", "expires_at", help="When it ends: 2027-01-31T12:00:00Z.")
@click.option("--client-id", help="Your own word for it.")
def api_key_create(desk: Desk, printer: Printer, rights: tuple[str, ...], **options: Any) -> None:
    """Make a key. It is printed once and can never be shown again."""
    printer.one(desk.api.post("/v1/api-keys", {**options, "rights": rights or ("read",)}))
    printer.say("Keep it now: it is stored only as a hash.")


@command(api_key, "list")
@list_options("name", "tenant", "environment", "client_id", sorts=("created_at", "name"))
def api_key_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Keys, without their secrets."""
    printer.many(desk.api.list("/v1/api-keys", **query), KEY_COLUMNS, "no API keys")


@command(api_key, "show")
@click.argument("key")
def api_key_show(desk: Desk, printer: Printer, key: str) -> None:
    """One key, without its secret."""
    printer.one(desk.api.get(at("/v1/api-keys/{}", key)))


@command(api_key, "revoke")
@click.argument("key")
@yes_option
def api_key_revoke(desk: Desk, printer: Printer, key: str, yes: bool) -> None:
    """Make a key worthless for ever."""
    confirm(f"Revoke the API key {key} for ever?", yes)
    printer.one(desk.api.delete(at("/v1/api-keys/{}", key)))
