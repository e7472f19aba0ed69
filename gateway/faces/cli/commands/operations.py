"""Running the installation: databases, master key, serve, check, quickstart."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import __version__
from gateway.faces.cli.command import command
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import Printer
from gateway.system.rendering import plain


def add_to(root: click.Group) -> None:
    """Register the commands."""
    for group in (db, master_key):
        root.add_command(group)
    for one in (serve, quickstart, check):
        root.add_command(one)
    command(root, "version")(version)


@click.group()
def db() -> None:
    """Databases."""


@command(db, "upgrade")
def db_upgrade(desk: Desk, printer: Printer) -> None:
    """Bring the control database and every location up to this program's schema."""
    rows = desk.program.upgrade(desk.config)
    printer.many(rows, ("database", "before", "after"))


@click.group("master-key")
def master_key() -> None:
    """The key that seals all secrets."""


@command(master_key, "create")
@click.argument("file", type=click.Path(path_type=Path))
def master_key_create(desk: Desk, printer: Printer, file: Path) -> None:  # noqa: ARG001 - every command has a desk
    """Make a key file (mode 0600). Keep a copy away from the databases."""
    from gateway.system.secrets import MasterKey

    made = MasterKey.create(file)
    printer.one({"file": str(file), "id": made.key_id})


@command(master_key, "rotate")
def master_key_rotate(desk: Desk, printer: Printer) -> None:
    """Seal everything under a new key; the file keeps the old one until all of it is done."""
    printer.one(plain(desk.services.master_key.rotate(desk.actor)))


def version(desk: Desk, printer: Printer) -> None:  # noqa: ARG001 - every command has a desk
    """The program's version."""
    printer.one({"version": __version__})


config_option = click.option(
    "--config", "config", type=click.Path(path_type=Path), help="As `gatepost --config`."
)


@click.command()
@config_option
@click.pass_context
def serve(context: click.Context, config: Path | None) -> None:
    """Run the gateway until SIGTERM."""
    desk = _with_config(context, config)
    context.exit(desk.program.serve(desk.config_path))


@click.command()
@config_option
@click.pass_context
def check(context: click.Context, config: Path | None) -> None:
    """Look through a configuration: every mistake with file, line and key."""
    desk = _with_config(context, config)
    context.exit(desk.program.check(desk.config_path))


def _with_config(context: click.Context, config: Path | None) -> Desk:
    desk = context.find_object(Desk)
    assert desk is not None
    if config is not None:
        desk.config_option = config
    return desk


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="Where all of it goes.")
@click.option("--port-base", type=click.IntRange(1024, 65_000), default=2500, show_default=True)
@click.option("--setup-only", is_flag=True, help="Write and provision, send nothing, exit.")
@click.pass_context
def quickstart(context: click.Context, folder: Path, port_base: int, setup_only: bool) -> None:
    """A demo on this machine: state, CA, tenant, and a first signed message."""
    desk = context.find_object(Desk)
    assert desk is not None
    context.exit(desk.program.quickstart(folder, port_base, setup_only))
