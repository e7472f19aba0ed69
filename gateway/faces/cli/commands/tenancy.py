"""`tenant`: customer organisations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.control.records import ENVIRONMENTS
from gateway.faces.cli.client import at
from gateway.faces.cli.command import command, confirm, yes_option
from gateway.faces.cli.commands.moves import print_moves
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.files import write_lines
from gateway.faces.cli.labels import label_options, labelled
from gateway.faces.cli.options import NAMED, dry_run_option, grace_option, list_options, reason_option
from gateway.faces.cli.output import Printer

TENANT_COLUMNS = ("name", "plan", "status", "id", "created_at")
MISFIT_COLUMNS = ("kind", "name", "key", "value", "allowed")
EFFECT_COLUMNS = ("workspace", "accounts", "key", "before", "after")

environment_option = click.option(
    "--environment", type=click.Choice(ENVIRONMENTS), default="production", show_default=True
)


def add_to(root: click.Group) -> None:
    """Register the group."""
    root.add_command(tenant)


@click.group()
def tenant() -> None:
    """Customer organisations."""


@command(tenant, "create")
@click.argument("name")
@click.option("--plan", default="standard", show_default=True)
@click.option("--contact", "contacts", multiple=True, help="An address that gets notices; may be repeated.")
@environment_option
@label_options
def tenant_create(desk: Desk, printer: Printer, name: str, **options: Any) -> None:
    """Create a tenant, with a trial domain, its keys and a shard, ready to send."""
    printer.one(desk.api.post("/v1/tenants", labelled({"name": name, **options})))


@command(tenant, "list")
@list_options("name", "status", "plan", "client_id", sorts=NAMED, by="name")
def tenant_list(desk: Desk, printer: Printer, **query: Any) -> None:
    """All tenants."""
    printer.many(desk.api.list("/v1/tenants", **query), TENANT_COLUMNS, "no tenants")


@command(tenant, "show")
@click.argument("tenant")
def tenant_show(desk: Desk, printer: Printer, tenant: str) -> None:
    """One tenant."""
    printer.one(desk.api.get(at("/v1/tenants/{}", tenant)))


@command(tenant, "update")
@click.argument("tenant")
@click.option("--plan")
@click.option("--name")
@click.option("--contact", "contacts", multiple=True, help="Replaces the contacts; may be repeated.")
@click.option("--notices/--no-notices", default=None, help="Whether the contacts are written to.")
@label_options
def tenant_update(
    desk: Desk, printer: Printer, tenant: str, contacts: tuple[str, ...], **options: Any
) -> None:
    """Change a tenant's plan, name, contacts, or whether they get notices."""
    changes = labelled({**options, "contacts": contacts or None})
    printer.one(desk.api.patch(at("/v1/tenants/{}", tenant), changes))


@command(tenant, "preview")
@click.argument("tenant")
@click.option("--plan", required=True, help="The plan it might be put on.")
def tenant_preview(desk: Desk, printer: Printer, tenant: str, plan: str) -> None:
    """What another plan would change, and what would no longer fit; nothing is changed."""
    found = desk.api.get(at("/v1/tenants/{}/plan-preview", tenant), plan=plan)
    if printer.as_json or printer.quiet:
        printer.one(found)
        return
    printer.many(found["no_longer_fits"], MISFIT_COLUMNS, f"everything fits {found['to_plan']}")
    rows = [{**effect, **change} for effect in found["workspaces"] for change in effect["changes"]]
    printer.many(rows, EFFECT_COLUMNS, "nothing changes for its accounts")


@command(tenant, "move")
@click.argument("tenant")
@click.option("--workspace", required=True, help="Where all its accounts go.")
@click.option("--environment", type=click.Choice(ENVIRONMENTS), help="Only its accounts of this environment.")
@dry_run_option
def tenant_move(desk: Desk, printer: Printer, tenant: str, **options: Any) -> None:
    """Move all accounts of a tenant into a workspace, all or none; their counters and mail go with them."""
    print_moves(printer, desk.api.post(at("/v1/tenants/{}/move", tenant), options))


@command(tenant, "suspend")
@click.argument("tenant")
@reason_option
def tenant_suspend(desk: Desk, printer: Printer, tenant: str, reason: str | None) -> None:
    """Stop a tenant's logins, sessions and queue within a second."""
    printer.one(desk.api.post(at("/v1/tenants/{}/suspend", tenant), {"reason": reason}))


@command(tenant, "resume")
@click.argument("tenant")
def tenant_resume(desk: Desk, printer: Printer, tenant: str) -> None:
    """Let a suspended tenant go on."""
    printer.one(desk.api.post(at("/v1/tenants/{}/resume", tenant)))


@command(tenant, "delete")
@click.argument("tenant")
@grace_option
@reason_option
@yes_option
def tenant_delete(desk: Desk, printer: Printer, tenant: str, yes: bool, **query: Any) -> None:
    """Stop all of a tenant at once; it is gone after its time of grace. `tenant export` before."""
    confirm(f"Delete the tenant {tenant}, all its domains, accounts and mail?", yes)
    printer.one(desk.api.delete(at("/v1/tenants/{}", tenant), **query))


@command(tenant, "restore")
@click.argument("tenant")
def tenant_restore(desk: Desk, printer: Printer, tenant: str) -> None:
    """Have a tenant back that is being deleted, as it was."""
    printer.one(desk.api.post(at("/v1/tenants/{}/restore", tenant)))


@command(tenant, "export")
@click.argument("tenant")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Into this file (mode 0600).")
def tenant_export(desk: Desk, printer: Printer, tenant: str, out: Path | None) -> None:
    """Everything that is kept of a tenant, without secrets, and its audit: a JSON document a line."""
    lines = desk.api.lines(at("/v1/tenants/{}/export", tenant))
    if out is not None:
        printer.say(f"{write_lines(out, lines)} documents in {out}.")
    else:
        printer.lines(lines)
