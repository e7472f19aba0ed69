"""`app-password`: what programs log in with."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm_at_terminal, yes_option
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import list_options, moment
from gateway.faces.cli.output import Printer

PASSWORD_COLUMNS = (
    *("id", "login", "label", "scopes", "created_at"),
    *("expires_at", "last_used_at", "last_used_address"),
)

chosen_option = click.option("--chosen", help="Your own password, 18 to 40 characters; `-` asks for it.")


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(app_password)


@click.group("app-password")
def app_password() -> None:
    """Passwords for programs: shown once, revocable one by one."""


@command(app_password, "create")
@click.argument("account")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(["smtp", "imap"]))
@click.option("--label")
@click.option("--expires", help="When it ends: 2027-01-31 or 2027-01-31T12:00:00Z.")
@click.option(
    "--network", "networks", multiple=True, help="Only from here, such as 192.0.2.0/24; may be repeated."
)
@click.option("--stream", help="The stream of mail sent with it that names none.")
@chosen_option
@label_options
def app_password_create(
    desk: Desk, printer: Printer, account: str, expires: str | None, chosen: str | None, **options: Any
) -> None:
    """Make an app password. It is printed once and can never be shown again."""
    body = {"account": account, "expires_at": moment(expires), "chosen": _asked_for(chosen), **options}
    printer.one(_made(desk.api.post("/v1/app-passwords", labelled(body))))
    printer.say("Keep it now: it is stored only as a hash.")


@command(app_password, "list")
@click.argument("account", required=False)
@click.option("--revoked", is_flag=True, help="Those no longer valid too.")
@list_options("tenant", "label", "key_id", "client_id")
def app_password_list(desk: Desk, printer: Printer, revoked: bool, **query: Any) -> None:
    """An account's app passwords, or those of many, without their secrets."""
    rows = desk.api.list("/v1/app-passwords", revoked=None if revoked else False, **query)
    columns = (*PASSWORD_COLUMNS, "revoked_at") if revoked else PASSWORD_COLUMNS
    printer.many(rows, columns, "no app passwords")


@command(app_password, "show")
@click.argument("key-id")
def app_password_show(desk: Desk, printer: Printer, key_id: str) -> None:
    """One app password, without its secret."""
    printer.one(desk.api.get(at("/v1/app-passwords/{}", key_id)))


@command(app_password, "update")
@click.argument("key-id")
@click.option("--label")
@label_options
def app_password_update(desk: Desk, printer: Printer, key_id: str, **options: Any) -> None:
    """Change what an app password is called; what it may do never changes."""
    printer.one(desk.api.patch(at("/v1/app-passwords/{}", key_id), labelled(options)))


@command(app_password, "revoke")
@click.argument("key-id")
@yes_option
def app_password_revoke(desk: Desk, printer: Printer, key_id: str, yes: bool) -> None:
    """Make an app password worthless within a second, for open sessions too."""
    confirm_at_terminal(f"Revoke the app password {key_id} for ever?", yes)
    printer.one(desk.api.delete(at("/v1/app-passwords/{}", key_id)))


@command(app_password, "replace")
@click.argument("key-id")
@chosen_option
def app_password_replace(desk: Desk, printer: Printer, key_id: str, chosen: str | None) -> None:
    """Make a new one on the same terms; the old one ends in the same moment."""
    body = {"chosen": _asked_for(chosen)}
    printer.one(_made(desk.api.post(at("/v1/app-passwords/{}/replace", key_id), body)))


def _asked_for(chosen: str | None) -> str | None:
    if chosen != "-":
        return chosen
    text: str = click.prompt("App password", hide_input=True, confirmation_prompt=True, err=True)
    return text


def _made(reply: dict[str, Any]) -> dict[str, Any]:
    """A new password's reply without the hint that only a repeated request needs."""
    return {name: value for name, value in reply.items() if name != "fix" or value is not None}
