"""`tenant`, `workspace`, `plan`: who the customers are and what binds them."""

from __future__ import annotations

from typing import Any

import click

from gateway.control.records import ENVIRONMENTS
from gateway.faces.cli.client import at
from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import Printer
from gateway.faces.rendering import plain

TENANT_COLUMNS = ("name", "plan", "status", "id", "created_at")
WORKSPACE_COLUMNS = ("name", "environment", "policy", "location", "tenant_id", "is_default", "id")

environment_option = click.option(
    "--environment", type=click.Choice(ENVIRONMENTS), default="production", show_default=True
)


def add_to(root: click.Group) -> None:
    """Register the groups."""
    root.add_command(tenant)
    root.add_command(workspace)
    root.add_command(plan)


@click.group()
def tenant() -> None:
    """Customer organisations."""


@command(tenant, "create")
@click.argument("name")
@click.option("--plan", default="standard", show_default=True)
@click.option("--contact", "contacts", multiple=True, help="An address that gets notices; may be repeated.")
@environment_option
def tenant_create(desk: Desk, printer: Printer, name: str, **options: Any) -> None:
    """Create a tenant, with a trial domain, its keys and a shard, ready to send."""
    printer.one(desk.api.post("/v1/tenants", {"name": name, **options}))


@command(tenant, "list")
def tenant_list(desk: Desk, printer: Printer) -> None:
    """All tenants."""
    printer.many(desk.api.list("/v1/tenants", sort="name"), TENANT_COLUMNS, "no tenants")


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
def tenant_update(
    desk: Desk, printer: Printer, tenant: str, plan: str | None, name: str | None, contacts: tuple[str, ...]
) -> None:
    """Change a tenant's plan, name or contacts."""
    changes = {"plan": plan, "name": name, "contacts": contacts or None}
    printer.one(desk.api.patch(at("/v1/tenants/{}", tenant), changes))


@command(tenant, "suspend")
@click.argument("tenant")
def tenant_suspend(desk: Desk, printer: Printer, tenant: str) -> None:
    """Stop a tenant's logins, sessions and queue within a second."""
    printer.one(desk.api.post(at("/v1/tenants/{}/suspend", tenant)))


@command(tenant, "resume")
@click.argument("tenant")
def tenant_resume(desk: Desk, printer: Printer, tenant: str) -> None:
    """Let a suspended tenant go on."""
    printer.one(desk.api.post(at("/v1/tenants/{}/resume", tenant)))


@click.group()
def workspace() -> None:
    """Policy containers: every account is in exactly one."""


@command(workspace, "create")
@click.argument("name")
@click.option("--tenant", help="Its owner; without one it is shared by all tenants.")
@click.option("--policy", default="default", show_default=True, help="What binds its accounts.")
@click.option(
    "--pattern", "patterns", multiple=True, help="Accounts of domains like this come here: *.acme.com"
)
@click.option("--default", is_flag=True, help="Make it the default of its owner in its environment.")
@click.option("--location", help="Where its data lives.")
@environment_option
def workspace_create(desk: Desk, printer: Printer, name: str, **options: Any) -> None:
    """Create a workspace."""
    printer.one(plain(desk.services.workspaces.create(desk.actor, name, **options)))


@command(workspace, "list")
def workspace_list(desk: Desk, printer: Printer) -> None:
    """All workspaces."""
    printer.many(map(plain, desk.services.workspaces.list(desk.actor)), WORKSPACE_COLUMNS, "no workspaces")


@command(workspace, "show")
@click.argument("workspace")
def workspace_show(desk: Desk, printer: Printer, workspace: str) -> None:
    """One workspace."""
    printer.one(plain(desk.services.workspaces.show(desk.actor, workspace)))


@command(workspace, "update")
@click.argument("workspace")
@click.option("--policy", help="Another policy; every account follows within a second.")
@click.option("--name")
@click.option("--pattern", "patterns", multiple=True, help="Replaces its domain patterns; may be repeated.")
@click.option("--default", is_flag=True, help="Make it the default of its owner in its environment.")
def workspace_update(
    desk: Desk, printer: Printer, workspace: str, patterns: tuple[str, ...], **options: Any
) -> None:
    """Change a workspace's policy, name or patterns."""
    changed = desk.services.workspaces.update(desk.actor, workspace, patterns=patterns or None, **options)
    printer.one(plain(changed))


@click.group()
def plan() -> None:
    """Tiers: the most a tenant may have. `policy apply` changes them."""


@command(plan, "list")
def plan_list(desk: Desk, printer: Printer) -> None:
    """All plans."""
    rows = map(plain, desk.services.plans.list(desk.actor))
    printer.many(rows, ("name", "version", "updated_at", "id"), "no plans")


@command(plan, "show")
@click.argument("plan")
def plan_show(desk: Desk, printer: Printer, plan: str) -> None:
    """One plan, with its document."""
    printer.one(plain(desk.services.plans.show(desk.actor, plan)))
