"""The program `gatepost`: its options and its commands."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import __version__
from gateway.faces.cli.commands import identities, mail, operations, sending, tenancy
from gateway.faces.cli.desk import Desk, Program


def build(program: Program) -> click.Group:
    """The command line over the parts in `program`."""

    @click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
    @click.version_option(__version__, prog_name="gatepost")
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="The installation's configuration. [default: $GATEPOST_CONFIG or /etc/gatepost/gatepost.toml]",
    )
    @click.pass_context
    def gatepost(context: click.Context, config: Path | None) -> None:
        """Gatepost: a mail gateway that gives every tenant its own sending identity."""
        desk = Desk(program, config)
        context.obj = desk
        context.call_on_close(desk.close)

    for room in (tenancy, identities, sending, mail, operations):
        room.add_to(gatepost)
    return gatepost
