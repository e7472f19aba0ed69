"""`account`: mail identities."""

from __future__ import annotations

from typing import Any

import click

from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.moves import print_moves
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import dry_run_option, grace_option, list_options, reason_option
from gateway.faces.cli.output import Printer

ACCOUNT_COLUMNS = ("address", "status", "smtp", "imap", "aliases", "workspace", "assignment", "grant_id")
LOGIN_COLUMNS = ("at", "protocol", "address", "outcome", "credential_id")


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(account)


@click.group()
def account() -> None:
    """Mail identities: an address, its aliases, its switches."""


@command(account, "create")
@click.argument("address")
@click.option("--tenant", required=True)
@click.option("--workspace", help="Without one it is assigned by the domain's pattern and the defaults.")
@click.option("--display-name")
@click.option("--alias", "aliases", multiple=True, help="A further address; may be repeated.")
@click.option("--smtp", is_flag=True, help="Switch submission on.")
@click.option("--imap", is_flag=True, help="Switch IMAP on.")
@label_options
def account_create(desk: Desk, printer: Printer, address: str, **options: Any) -> None:
    """Create an account."""
    printer.one(desk.api.post("/v1/accounts", labelled({"address": address, **options})))


@command(account, "list")
@list_options(
    *("address", "tenant", "workspace", "domain", "environment", "status", "assignment"),
    *("smtp", "imap", "client_id"),
    sorts=("created_at", "updated_at", "address"),
)
def account_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """Accounts."""
    printer.many(desk.api.list("/v1/accounts", **query), ACCOUNT_COLUMNS, "no accounts")


@command(account, "show")
@click.argument("account")
def account_show(desk: Desk, printer: Printer, account: str) -> None:
    """One account, by address or grant id."""
    printer.one(desk.api.get(at("/v1/accounts/{}", account)))


@command(account, "update")
@click.argument("account")
@click.option("--workspace", help="Move it to this workspace; its counters go with it.")
@click.option("--auto", is_flag=True, help="Let patterns and defaults assign it again.")
@click.option("--display-name")
@click.option("--suspend/--resume", "suspended", default=None)
@reason_option
@click.option("--smtp/--no-smtp", default=None)
@click.option("--imap/--no-imap", default=None)
@label_options
def account_update(desk: Desk, printer: Printer, account: str, auto: bool, **options: Any) -> None:
    """Change an account: effective within a second, for open sessions too."""
    changes = labelled({**options, "auto": auto or None})
    printer.one(desk.api.patch(at("/v1/accounts/{}", account), changes))


@command(account, "suspend")
@click.argument("account")
@reason_option
def account_suspend(desk: Desk, printer: Printer, account: str, reason: str | None) -> None:
    """Stop an account's logins and sessions within a second; its mail stays."""
    printer.one(desk.api.post(at("/v1/accounts/{}/suspend", account), {"reason": reason}))


@command(account, "resume")
@click.argument("account")
def account_resume(desk: Desk, printer: Printer, account: str) -> None:
    """Let a suspended account log in again."""
    printer.one(desk.api.post(at("/v1/accounts/{}/resume", account)))


@command(account, "move")
@click.argument("accounts", nargs=-1, required=True)
@click.option("--workspace", help="Where they go.")
@click.option("--auto", is_flag=True, help="Where patterns and defaults say.")
@dry_run_option
def account_move(desk: Desk, printer: Printer, accounts: tuple[str, ...], **options: Any) -> None:
    """Move up to 500 accounts, all or none; their counters and mail go with them."""
    print_moves(printer, desk.api.post("/v1/accounts/move", {"accounts": accounts, **options}))


@command(account, "delete")
@click.argument("account")
@grace_option
@reason_option
@yes_option
def account_delete(desk: Desk, printer: Printer, account: str, yes: bool, **query: Any) -> None:
    """Stop an account at once; it is gone, with its mail, after its time of grace."""
    confirm(f"Delete the account {account} and its mail?", yes)
    printer.one(desk.api.delete(at("/v1/accounts/{}", account), **query))


@command(account, "restore")
@click.argument("account")
def account_restore(desk: Desk, printer: Printer, account: str) -> None:
    """Have an account back that is being deleted, as it was."""
    printer.one(desk.api.post(at("/v1/accounts/{}/restore", account)))


@account.group("alias")
def alias() -> None:
    """Further addresses an account may send as."""


@command(alias, "add")
@click.argument("account")
@click.argument("address")
def alias_add(desk: Desk, printer: Printer, account: str, address: str) -> None:
    """Give an account one more address."""
    printer.one(desk.api.post(at("/v1/accounts/{}/aliases", account), {"address": address}))


@command(alias, "remove")
@click.argument("account")
@click.argument("address")
def alias_remove(desk: Desk, printer: Printer, account: str, address: str) -> None:
    """Take an address away from an account."""
    printer.one(desk.api.delete(at("/v1/accounts/{}/aliases/{}", account, address)))


@command(account, "logins")
@click.argument("account")
def account_logins(desk: Desk, printer: Printer, account: str) -> None:
    """The last 50 sign-in attempts, with the true reason of each."""
    rows = desk.api.get(at("/v1/accounts/{}/logins", account))["items"]
    printer.many(rows, LOGIN_COLUMNS, "no sign-ins yet")
