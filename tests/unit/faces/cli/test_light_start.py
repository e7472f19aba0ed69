"""What a command costs before it asks anything: only what it needs is loaded."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest

from gateway.faces.cli.program import ROOMS

HEAVY = ("sqlalchemy", "fastapi", "pydantic", "structlog", "rich", "cryptography", "asyncio")


def loaded_by(statement: str) -> list[str]:
    """Which of the heavy libraries a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*(one for one in {HEAVY!r} if one in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("room", ROOMS)
def test_a_command_loads_no_database_and_no_server(room: str) -> None:
    assert (
        loaded_by(f"import gateway.app.main, gateway.system.config, gateway.faces.cli.commands.{room}") == []
    )


def test_every_module_registers_the_commands_that_it_is_loaded_for() -> None:
    for room, names in ROOMS.items():
        group = click.Group()
        importlib.import_module(f"gateway.faces.cli.commands.{room}").add_to(group)
        assert sorted(group.commands) == sorted(names)
