"""The command line mirrors the API: each operation names its command, and the command is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from fastapi.routing import APIRoute

from gateway.faces.api.facts import facts_of
from gateway.faces.api.routes import ROOMS
from gateway.faces.cli.desk import Program
from gateway.faces.cli.program import build

ROUTES = [route for room in ROOMS for route in room.api.routes if isinstance(route, APIRoute)]


def program() -> click.Group:
    """The command line over nothing: only its shape is looked at."""
    nothing: Any = None
    return build(Program(*[nothing] * len(Program.__dataclass_fields__)))


def found(path: str) -> click.Command:
    """The command at `tenant create`."""
    command: click.Command = program()
    for word in path.split():
        assert isinstance(command, click.Group), f"{path}: {command.name} has no commands below it"
        below = command.get_command(click.Context(command), word)
        assert below is not None, f"`gatepost {path}` does not exist: no {word!r} in {command.name!r}"
        command = below
    return command


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: facts_of(route.endpoint).cli)
def test_every_operation_has_its_command(route: APIRoute) -> None:
    command = found(facts_of(route.endpoint).cli)
    assert not isinstance(command, click.Group) or command.invoke_without_command
    assert command.help, "a command says what it does"


def test_no_two_operations_name_one_command() -> None:
    names = [facts_of(route.endpoint).cli for route in ROUTES]
    assert sorted(set(names)) == sorted(names)


READING = {"cursor", "limit", "start", "wait"}
"""How a list is read on, which a command does by itself."""


def lists() -> dict[str, set[str]]:
    """Of each operation with pages, by its command: what it can be asked for less with, or in another order."""
    description = json.loads((Path(__file__).parents[3] / "docs/openapi.json").read_text())
    found = {}
    for operations in description["paths"].values():
        for one in operations.values():
            names = {given["name"] for given in one.get("parameters", ()) if given["in"] == "query"}
            if {"cursor", "limit"} <= names:
                found[one["x-gatepost-cli"]] = names - READING
    return found


LISTS = lists()


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_filtered_and_sorted_as_over_the_api(path: str) -> None:
    assert LISTS[path] <= {one.name for one in found(path).params}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: facts_of(route.endpoint).cli)
def test_every_operation_says_what_it_does_and_shows(route: APIRoute) -> None:
    assert route.description
    assert route.operation_id
    assert str(route.status_code) in {str(code) for code in route.responses} or route.status_code == 204
