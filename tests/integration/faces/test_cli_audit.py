"""Looking back on the command line: an account at a time, for people and for programs."""

from __future__ import annotations

import pytest

from gateway.faces.cli.history import account_then
from tests.support.cli import Cli


@pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("words", [("show", "{}", "--at", "{}"), ("as-of", "{}", "{}")])
def test_an_account_at_a_time_is_a_table_of_values(cli: Cli, words: tuple[str, ...]) -> None:
    made = cli.json("provision", "--tenant", "Acme", "--local-part", "support", "--smtp")
    values = iter((made["address"], "2089-01-01"))
    call = ("audit", *(word.format(next(values)) if "{}" in word else word for word in words))
    told = cli.json(*call)
    result = cli.run(*call)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "{" not in result.stdout
    facts = dict(line.split(maxsplit=1) for line in lines if line and not line.startswith(" "))
    assert (facts["address"], facts["tenant"]) == (made["address"], "Acme")
    assert facts["policy"] == "default, version 1"
    shown = {line.split()[0]: line for line in lines if line.startswith("  ")}
    for value in told["policy"]["values"]:
        assert f" {value['value']} " in shown[value["key"]]
        assert shown[value["key"]].endswith(f"({value['source']})")
    assert cli.run(*call, "--quiet").stdout.strip() == made["grant_id"]


def test_what_was_raised_is_told_and_what_is_not_known_is_a_dash() -> None:
    raised = {
        "account_id": "a",
        "limits": {"messages_per_day": 900},
        "since": "2027-01-15T08:00:00Z",
        "until": "2027-02-01T00:00:00Z",
        "reason": "sale",
        "by": "cli:root",
    }
    assert account_then({"address": "a@acme.example", "policy": None, "raises": [raised]}).splitlines() == [
        "address  a@acme.example",
        "raised   messages_per_day = 900 (account, 2027-01-15T08:00:00Z to 2027-02-01T00:00:00Z, "
        "by cli:root: sale)",
        "policy   -",
    ]
