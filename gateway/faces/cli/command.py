"""How every command is made: the options all of them have, and errors turned into sentences."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from gateway.control.errors import ServiceError
from gateway.faces.cli.desk import Desk
from gateway.faces.cli.output import EXIT_FAILED, EXIT_USAGE, USAGE_CODES, CommandFailed, Printer

Function = TypeVar("Function", bound=Callable[..., Any])


def command(group: click.Group, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
    """Register `function(desk, printer, …)` as a command of `group`, with `--json` and `--quiet`.

    `settings` are click's, such as the `cls` of the command.
    """

    def register(function: Function) -> Function:
        @functools.wraps(function)
        def run(*arguments: Any, as_json: bool, quiet: bool, **options: Any) -> None:
            desk = click.get_current_context().find_object(Desk)
            assert desk is not None
            with spoken_errors():
                function(desk, Printer(as_json, quiet), *arguments, **options)

        # A list of its own: a function may be registered more than once, and keeps its options for itself.
        run.__click_params__ = [*getattr(function, "__click_params__", ())]  # type: ignore[attr-defined]
        decorated: Any = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(
            run
        )
        decorated = click.option("--quiet", is_flag=True, help="Ids only.")(decorated)
        group.command(name, **settings)(decorated)
        return function

    return register


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Turn the errors a person can meet into sentences with an exit status."""
    try:
        yield
    except click.ClickException:
        raise
    except BrokenPipeError:
        raise SystemExit(EXIT_FAILED) from None
    except Exception as error:
        sentence = _spoken(error)
        if sentence is None:
            raise
        raise sentence from error


def _spoken(error: Exception) -> CommandFailed | None:
    """The sentence for an error of ours; None for one that nobody foresaw."""
    # Who asks a gateway that serves needs nothing of this: it is loaded when something went wrong.
    from gateway.system.config import ConfigError
    from gateway.system.database import DatabaseAway, DatabaseUrlInvalid, SchemaError
    from gateway.system.secrets import SecretError

    if isinstance(error, ServiceError):
        # A document with mistakes is a mistake of use, like a configuration with mistakes.
        code = EXIT_USAGE if error.code in USAGE_CODES else EXIT_FAILED
        return CommandFailed(error.code, error.detail, error.fix, code)
    if isinstance(error, ConfigError):
        problems = "\n".join(str(problem) for problem in error.problems)
        return CommandFailed("bad-configuration", problems, "Nothing was changed.", EXIT_USAGE)
    if isinstance(error, DatabaseUrlInvalid):
        return CommandFailed("bad-database-url", str(error), "", EXIT_USAGE)
    if isinstance(error, DatabaseAway):
        again = "Nothing was changed; try again when it is back."
        return CommandFailed("database-away", str(error), again, EXIT_FAILED)
    if isinstance(error, SchemaError):
        return CommandFailed("schema", str(error), "", EXIT_FAILED)
    if isinstance(error, SecretError):
        return CommandFailed("master-key", str(error), "", EXIT_FAILED)
    return None


def confirm(question: str, yes: bool) -> None:
    """Ask before something is lost, unless `--yes` was given. Raises CommandFailed on no, and where nobody
    can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("confirmation-needed", f"{question} Nothing was done.", "Say so with --yes.")
    _ask(question)


def confirm_at_terminal(question: str, yes: bool) -> None:
    """Ask a person before access ends; a script is taken at its word. Raises CommandFailed on no."""
    if not yes and sys.stdin.isatty():
        _ask(question)


def _ask(question: str) -> None:
    if not click.confirm(question, err=True):
        raise CommandFailed("not-confirmed", "Nothing was done.")


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
