"""The caller's own words for things: `--client-id` and `--metadata KEY=VALUE`, the same for all resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def label_options(function: Function) -> Function:
    """Give a command both options; `labelled` puts them into a request."""
    decorated: Any = pairs_option("KEY=VALUE; may be repeated.")(function)
    labelled_function: Function = click.option("--client-id", help="Your own word for it.")(decorated)
    return labelled_function


def labelled(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as fields of a request: pairs only if there are some."""
    return {**options, "metadata": options["metadata"] or None}


def pairs_option(text: str) -> Callable[[Any], Any]:
    """`--metadata KEY=VALUE`, any number of times, as a dictionary."""
    return click.option("--metadata", multiple=True, callback=_pairs, help=text)


def _pairs(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE.", context, parameter)
        pairs[key] = value
    return pairs
