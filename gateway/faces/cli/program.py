"""The program `gatepost`: its options and its commands."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.faces.cli.desk import Desk, Program
from gateway.faces.cli.output import EXIT_FAILED, EXIT_USAGE, CommandFailed

_JSON = "gatepost.json"
_TELLS_CHANGES = "gatepost.exit-code"

ROOMS: dict[str, tuple[str, ...]] = {
    "access": ("api-key",),
    "audit": ("audit",),
    "accounts": ("account",),
    "declarations": ("apply", "export"),
    "domains": ("domain",),
    "doctor": ("doctor",),
    "limits": ("limit",),
    "lists": ("list",),
    "mail": ("queue", "refused", "trace", "status"),
    "messages": ("message",),
    "operations": ("db", "master-key", "serve", "quickstart", "check", "version"),
    "passwords": ("app-password",),
    "plans": ("plan",),
    "policies": ("policy",),
    "provisioning": ("provision",),
    "publishing": ("platform",),
    "reports": ("events", "usage"),
    "sending": ("shard", "source", "dkim-key"),
    "tenancy": ("tenant",),
    "webhooks": ("webhook",),
    "workspaces": ("workspace",),
}
"""The modules of `commands`, and what the `add_to` of each registers."""


class _Program(click.Group):
    """Loads a command's module when it is used; errors take the form that was asked for.

    click shows an error when the command's context is gone, so that the error itself must know its form.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return sorted(name for names in ROOMS.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for room, names in ROOMS.items():
            if cmd_name in names and cmd_name not in self.commands:
                importlib.import_module(f"gateway.faces.cli.commands.{room}").add_to(self)
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = args[: args.index("--")] if "--" in args else args
        ctx.meta[_JSON] = "--json" in options
        ctx.meta[_TELLS_CHANGES] = "--exit-code" in options
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self._in_its_form(ctx)
        except click.ClickException as error:
            if ctx.meta[_TELLS_CHANGES]:
                # Its 2 says that something would change: whatever is wrong must not look like that.
                error.exit_code = EXIT_FAILED  # type: ignore[misc]
            raise

    def _in_its_form(self, ctx: click.Context) -> Any:
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
        cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
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

    return gatepost
