"""`account`, `app-password`: who logs in, and with what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed, Printer, Row
from gateway.faces.rendering import plain

ACCOUNT_COLUMNS = ("address", "status", "smtp", "imap", "aliases", "workspace_id", "grant_id")
PASSWORD_COLUMNS = ("id", "label", "scopes", "created_at", "expires_at", "last_used_at", "last_used_address")


def add_to(root: click.Group) -> None:
    """Register the groups."""
    root.add_command(account)
    root.add_command(app_password)


@click.group()
def account() -> None:
    """Mail identities: an address, its aliases, its switches."""


@command(account, "create")
@click.argument("address")
@click.option("--tenant", required=True)
@click.option("--workspace", help="Without one it is assigned by the domain's pattern and the defaults.")
@click.option("--display-name")
@click.option("--smtp", is_flag=True, help="Switch submission on.")
@click.option("--imap", is_flag=True, help="Switch IMAP on.")
def account_create(desk: Desk, printer: Printer, address: str, **options: Any) -> None:
    """Create an account."""
    printer.one(account_row(desk.services.accounts.create(desk.actor, address, **options)))


@command(account, "list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--workspace", help="Only those in this workspace.")
def account_list(desk: Desk, printer: Printer, tenant: str | None, workspace: str | None) -> None:
    """Accounts."""
    found = desk.services.accounts.list(desk.actor, tenant=tenant, workspace=workspace)
    printer.many(map(account_row, found), ACCOUNT_COLUMNS, "no accounts")


@command(account, "show")
@click.argument("account")
def account_show(desk: Desk, printer: Printer, account: str) -> None:
    """One account, by address or grant id."""
    printer.one(account_row(desk.services.accounts.show(desk.actor, account)))


@command(account, "update")
@click.argument("account")
@click.option("--workspace", help="Move it to this workspace; its counters go with it.")
@click.option("--display-name")
@click.option("--suspend/--resume", "suspended", default=None)
@click.option("--smtp/--no-smtp", default=None)
@click.option("--imap/--no-imap", default=None)
def account_update(desk: Desk, printer: Printer, account: str, **options: Any) -> None:
    """Change an account: effective within a second, for open sessions too."""
    printer.one(account_row(desk.services.accounts.update(desk.actor, account, **options)))


@account.group("alias")
def alias() -> None:
    """Further addresses an account may send as."""


@command(alias, "add")
@click.argument("account")
@click.argument("address")
def alias_add(desk: Desk, printer: Printer, account: str, address: str) -> None:
    """Give an account one more address."""
    printer.one(account_row(desk.services.accounts.add_alias(desk.actor, account, address)))


@command(alias, "remove")
@click.argument("account")
@click.argument("address")
def alias_remove(desk: Desk, printer: Printer, account: str, address: str) -> None:
    """Take an address away from an account."""
    printer.one(account_row(desk.services.accounts.remove_alias(desk.actor, account, address)))


@command(account, "logins")
@click.argument("account")
def account_logins(desk: Desk, printer: Printer, account: str) -> None:
    """The last 50 sign-in attempts, with the true reason of each."""
    found = desk.services.accounts.show(desk.actor, account)
    rows = desk.queue.logins(found.id)
    printer.many(
        map(plain, rows), ("at", "protocol", "address", "outcome", "credential_id"), "no sign-ins yet"
    )


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
@click.option("--chosen", help="Your own password, 18 to 40 characters; `-` asks for it.")
def app_password_create(
    desk: Desk, printer: Printer, account: str, expires: str | None, chosen: str | None, **options: Any
) -> None:
    """Make an app password. It is printed once and can never be shown again."""
    if chosen == "-":
        chosen = click.prompt("App password", hide_input=True, confirmation_prompt=True, err=True)
    record, password = desk.services.credentials.create(
        desk.actor, account, expires_at=moment(expires), chosen=chosen, **options
    )
    printer.one(password_row(desk, record) | {"app_password": password})
    printer.say("Keep it now: it is stored only as a hash.")


@command(app_password, "list")
@click.argument("account")
@click.option("--revoked", is_flag=True, help="Those no longer valid too.")
def app_password_list(desk: Desk, printer: Printer, account: str, revoked: bool) -> None:
    """An account's app passwords, without their secrets."""
    records = desk.services.credentials.list(desk.actor, account, revoked=revoked)
    uses = desk.queue.credential_uses([record.id for record in records])
    rows = [password_row(desk, record) | plain(uses.get(record.id) or _NEVER) for record in records]
    printer.many(rows, PASSWORD_COLUMNS, "no app passwords")


@command(app_password, "show")
@click.argument("key-id")
def app_password_show(desk: Desk, printer: Printer, key_id: str) -> None:
    """One app password, without its secret."""
    printer.one(password_row(desk, desk.services.credentials.show(desk.actor, key_id)))


@command(app_password, "revoke")
@click.argument("key-id")
def app_password_revoke(desk: Desk, printer: Printer, key_id: str) -> None:
    """Make an app password worthless within a second, for open sessions too."""
    printer.one(password_row(desk, desk.services.credentials.revoke(desk.actor, key_id)))


@command(app_password, "replace")
@click.argument("key-id")
def app_password_replace(desk: Desk, printer: Printer, key_id: str) -> None:
    """Make a new one on the same terms; the old one ends in the same moment."""
    record, password = desk.services.credentials.replace(desk.actor, key_id)
    printer.one(password_row(desk, record) | {"app_password": password})


_NEVER: Row = {"last_used_at": None, "last_used_address": None}


def account_row(view: Any) -> dict[str, Any]:
    """An account as JSON has it."""
    row: dict[str, Any] = plain(view)
    return row


def password_row(desk: Desk, record: Any) -> dict[str, Any]:
    """An app password as JSON has it; `id` is what `revoke` takes."""
    account = desk.services.accounts.show(desk.actor, record.account_id)
    return {
        "id": record.key_id or record.id,
        "name": record.label,
        "tenant_id": record.tenant_id,
        "account_id": record.account_id,
        "login": account.address,
        "scopes": sorted(record.scopes),
        "label": record.label,
        "networks": list(record.networks),
        "stream": record.stream,
        **plain(
            {
                "created_at": record.created_at,
                "expires_at": record.expires_at,
                "revoked_at": record.revoked_at,
            }
        ),
    }


def moment(text: str | None) -> float | None:
    """A date or time as seconds since 1970; a time without zone is UTC."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            "bad-time",
            f"{text!r} is no date or time.",
            "Write 2027-01-31 or 2027-01-31T12:00:00Z.",
            EXIT_USAGE,
        ) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
