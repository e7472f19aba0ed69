"""The manual names every key of every table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.control.declarations import schema
from gateway.control.declarations.reading import read_declarations

MANUAL = (Path(__file__).parents[4] / "docs" / "declarations.md").read_text("utf-8")
TABLES = {
    "### `[[tenants]]`": schema.TENANT,
    "### `[[tenants.domains]]`": schema.DOMAIN,
    "### `[[tenants.shards]]`": schema.SHARD,
    "### `[[workspaces]]`": schema.WORKSPACE,
    "### `[[lists]]`": schema.LIST,
    "### `[[sources]]`": schema.SOURCE,
}


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_in_the_manual(heading: str) -> None:
    section = MANUAL.split(heading, 1)[1].split("\n###", 1)[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert named == set(TABLES[heading].keys) - {"client_id", "metadata"}


def test_the_example_of_the_manual_is_in_order() -> None:
    example = MANUAL.split("```toml\n", 1)[1].split("```", 1)[0]
    kinds = [thing.kind for thing in read_declarations([("example.toml", example)]).things]
    assert kinds == ["tenant", "trial", "workspace", "domain", "shard"]
