"""The command line over the API in this process.

Fixtures (each test runs on "sqlite" and "postgresql"):
    cli   a Cli: calls of the program, on the databases of `api`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.faces.cli.desk import Program
from gateway.faces.cli.program import build
from tests.support.api import ApiWorld

CONFIGURATION = """
hostname = "mail.example.com"
state_dir = "{folder}"
[listen]
submission = ["127.0.0.1:2587"]
[tls]
certificate = "{folder}/certificate.pem"
key = "{folder}/key.pem"
[control]
url = "sqlite:///{folder}/control.db"
[locations.default]
url = "sqlite:///{folder}/location.db"
blobs = "{folder}/blobs"
[master_key]
file = "{folder}/master.key"
[trial]
zone = "trial.example.com"
"""


class Opened:
    """An installation whose parts nobody asks for: commands go through the API."""

    def close(self) -> None:
        """Nothing was opened."""


@dataclass(frozen=True, slots=True)
class Cli:
    """The program over one application."""

    program: Program
    config: Path

    def run(self, *words: str, stdin: str | None = None) -> Result:
        """One call, whatever comes of it."""
        return CliRunner().invoke(build(self.program), ["--config", str(self.config), *words], input=stdin)

    def json(self, *words: str) -> Any:
        """The document of a call that must succeed."""
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *words: str) -> tuple[int, str]:
        """Exit status and code of a call that must fail."""
        result = self.run(*words, "--json")
        assert result.exit_code != 0, result.output
        return result.exit_code, json.loads(result.stderr)["code"]


@pytest.fixture
def cli(api: ApiWorld, tmp_path: Path) -> Cli:
    """The command line of an operator on this machine."""
    config = tmp_path / "gatepost.toml"
    config.write_text(CONFIGURATION.format(folder=tmp_path))

    def unused(*_: Any) -> Any:
        raise AssertionError("a command went past the API")

    parts: dict[str, Any] = dict.fromkeys(Program.__dataclass_fields__, unused)
    return Cli(Program(**{**parts, "open": lambda _: Opened(), "app": lambda _: api.app}), config)
