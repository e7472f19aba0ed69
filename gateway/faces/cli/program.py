"""The program `gatepost`: its options and its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.faces.cli.commands import access, identities, mail, operations, sending, tenancy
from gateway.faces.cli.desk import Desk, Program
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed

_JSON = "gatepost.json"


class _SpeakingGroup(click.Group):
    """Errors take the form that was asked for, those in the use of a command too.

    click shows an error when the command's context is gone, so that the error itself must know its form.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = args[: args.index("--")] if "--" in args else args
        ctx.meta[_JSON] = "--json" in options
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not ctx.meta[_JSON]:
                raise
            path = error.ctx.command_path if error.ctx is not None else ctx.command_path
            failed = CommandFailed(
                "usage", error.format_message(), f"`{path} --help` shows its use.", EXIT_USAGE
            )
            failed.as_json = True
            raise failed from error
        except CommandFailed as error:
            error.as_json = ctx.meta[_JSON]
            raise


def build(program: Program) -> click.Group:
    """The command line over the parts in `program`."""

    @click.group(
        cls=_SpeakingGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
    )
    @click.version_option(__version__, prog_name="gatepost")
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="The installation's configuration. [default: $GATEPOST_CONFIG or /etc/gatepost/gatepost.toml]",
    )
    @click.option("--url", help="Another installation's API, such as https://mail.example.com:8443.")
    @click.option("--key", help="The API key for --url; $GATEPOST_KEY keeps it out of process lists.")
    @click.pass_context
    def gatepost(context: click.Context, config: Path | None, url: str | None, key: str | None) -> None:
        """Gatepost: a mail gateway that gives every tenant its own sending identity."""
        desk = Desk(program, config, url, key)
        context.obj = desk
        context.call_on_close(desk.close)

    for room in (tenancy, identities, sending, mail, operations, access):
        room.add_to(gatepost)
    return gatepost
