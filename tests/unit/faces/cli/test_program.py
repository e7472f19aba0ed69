"""The form of errors: JSON on stderr where `--json` was asked for, sentences otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.control.errors import NotFound
from gateway.faces.cli.desk import Program
from gateway.faces.cli.program import build

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


def run(tmp_path: Path, *arguments: str) -> Result:
    """One call of a program whose every installation knows no tenant."""

    def missing(*_: Any) -> Any:
        raise NotFound("tenant-not-found", "There is no tenant 'acme'.", "`gatepost tenant list` shows them.")

    path = tmp_path / "gatepost.toml"
    path.write_text(CONFIGURATION.format(folder=tmp_path))
    program = Program(*[missing] * len(Program.__dataclass_fields__))
    return CliRunner().invoke(build(program), ["--config", str(path), *arguments])


def test_an_error_is_one_json_document_where_json_was_asked_for(tmp_path: Path) -> None:
    result = run(tmp_path, "tenant", "show", "acme", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr) == {
        "code": "tenant-not-found",
        "detail": "There is no tenant 'acme'.",
        "fix": "`gatepost tenant list` shows them.",
    }
    assert result.stdout == ""


def test_an_error_is_sentences_otherwise(tmp_path: Path) -> None:
    result = run(tmp_path, "tenant", "show", "acme")
    assert result.exit_code == 1
    assert result.stderr == "Error: There is no tenant 'acme'.\n  `gatepost tenant list` shows them.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tenant", "show"), "Missing argument"),
        (("tenant", "frobnicate"), "No such command"),
        (("tenant", "list", "--bogus"), "No such option"),
    ],
)
def test_wrong_use_is_an_error_like_the_others(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run(tmp_path, *arguments, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stderr)
    assert error["code"] == "usage"
    assert told in error["detail"]
    assert "--help" in error["fix"]
    plain = run(tmp_path, *arguments)
    assert plain.exit_code == 2
    assert plain.stderr.startswith("Usage: ")


def test_what_stands_behind_two_dashes_asks_for_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, "tenant", "show", "--", "--json")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
