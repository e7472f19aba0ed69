"""Options that many commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from gateway.control.records import ENVIRONMENTS
from gateway.faces.cli.labels import pairs_option
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed
from gateway.system.config import parse_duration

Function = TypeVar("Function", bound=Callable[..., Any])

dry_run_option = click.option("--dry-run", is_flag=True, help="Only tell what would change.")
reason_option = click.option("--reason", help="Why; goes into the audit.")
progress_option = click.option(
    "--progress/--no-progress", default=None, help="Tell on stderr how far it is.  [default: on a terminal]"
)


def grace_option(function: Function) -> Function:
    """`--grace 7d`, as `grace_seconds`."""
    help = "How long it can be restored, such as 7d; 0: not at all."
    return duration_option("--grace", "grace_seconds", help)(function)


def duration_option(
    flag: str, name: str, help: str, *, bounds: tuple[str, str] | None = None
) -> Callable[[Function], Function]:
    """An option such as `--ttl 14d`, as seconds; None if it is not given.

    `bounds`: the least and the most that the API takes, as a person writes them: its refusal has seconds.
    """

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
        if text is None:
            return None
        try:
            seconds = 0.0 if text == "0" else parse_duration(text)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None
        if bounds is not None and not parse_duration(bounds[0]) <= seconds <= parse_duration(bounds[1]):
            problem = f"{text} is not between {bounds[0]} and {bounds[1]}."
            raise click.BadParameter(problem, context, parameter)
        return seconds

    option: Callable[[Function], Function] = click.option(flag, name, callback=read, help=help)
    return option


NAMED = ("name", "created_at", "updated_at")
"""What most lists of named things can be sorted by."""


def list_options(
    *filters: str, sorts: tuple[str, ...] = ("created_at",), by: str | None = None, labelled: bool = True
) -> Callable[[Function], Function]:
    """Options of a list: a filter for each field, `--metadata KEY=VALUE`, `--sort` and `--most`.

    They are the keywords of `ApiClient.list`; a field that is an environment offers those there are, one that
    is on or off takes `yes` and `no`, as tables print them.
    `by`: the order unless said. Not `labelled`: its rows have no metadata.
    """
    orders = [word for name in sorts for word in (name, f"-{name}")]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def run(*arguments: Any, metadata: dict[str, str] | None = None, **options: Any) -> Any:
            pairs = {f"metadata.{key}": value for key, value in (metadata or {}).items()}
            return function(*arguments, **options, **pairs)

        decorated: Any = click.option("--most", type=click.IntRange(1), help="At most so many rows.")(run)
        decorated = click.option(
            "--sort", type=click.Choice(orders), default=by, show_default=True, help="With -: descending."
        )(decorated)
        if labelled:
            decorated = pairs_option("Only with this KEY=VALUE; may be repeated.")(decorated)
        for name in reversed(filters):
            decorated = _filter(name)(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


_SWITCHES = ("smtp", "imap", "default")
_FILTER_HELP = {
    "account": "Only this account's.",
    "algorithm": "Only of this kind: rsa or ed25519.",
    "assignment": "Only assigned in this way: auto or explicit.",
    "client_id": "Only with this client id.",
    "default": "Only those that are a default, or are none.",
    "domain": "Only of this domain.",
    "environment": "Only in this environment.",
    "imap": "Only those with IMAP on, or off.",
    "key_id": "Only with this key id.",
    "kind": "Only of this kind.",
    "location": "Only in this location.",
    "plan": "Only on this plan.",
    "policy": "Only under this policy.",
    "pool": "Only in this pool.",
    "smtp": "Only those with submission on, or off.",
    "state": "Only in this state.",
    "tenant": "Only this tenant's.",
    "url": "Only with this URL.",
    "value": "Only this value.",
    "workspace": "Only in this workspace.",
}


def _filter(name: str) -> Callable[[Any], Any]:
    is_switch = name in _SWITCHES
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        type=click.BOOL if is_switch else click.Choice(ENVIRONMENTS) if name == "environment" else None,
        metavar="[yes|no]" if is_switch else None,
        help=_FILTER_HELP.get(name, f"Only with this {name}."),
    )


def moment(text: str | None) -> str | None:
    """A date or time as the API takes it; a time without a zone is UTC. Raises CommandFailed."""
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
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).isoformat()
