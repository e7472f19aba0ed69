"""`provision` for people: what a run that breaks off gives, and what is printed of an identity."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import ApiWorld
from tests.support.cli import Cli

pytestmark = pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)

HEADING = "tenant,local_part,smtp,app_password\n"


def breaking(cli: Cli, api: ApiWorld, status: int, problem: dict[str, str]) -> Cli:
    """The command line over an API that answers the second call of many rows with a problem."""
    calls: list[str] = []

    async def app(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        calls.append(scope["path"])
        if calls.count("/v1/provision/batch") != 2:
            await api.app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/problem+json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(problem).encode()})

    return replace(cli, program=replace(cli.program, app=lambda _: app))


AWAY = (503, {"code": "database-away", "detail": "It is away.", "fix": "Try again when it is back."})
WRONG = (
    422,
    {"code": "bad-request", "detail": "rows.0.colour: there is no such field", "fix": "Correct it."},
)


@pytest.mark.parametrize(
    ("reply", "code", "told"),
    [
        (AWAY, "database-away", "It is away."),
        (WRONG, "bad-request", "{file}:3: colour: there is no such field"),
    ],
    ids=["away", "refused"],
)
def test_a_run_that_breaks_off_gives_the_passwords_that_it_made(
    cli: Cli, api: ApiWorld, tmp_path: Path, reply: tuple[int, dict[str, str]], code: str, told: str
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(HEADING + "A,bob,yes,yes\nB,bob,yes,yes\nC,bob,yes,yes\n")
    words = ("provision", "batch", str(rows), "--size", "1")
    broken = breaking(cli, api, *reply).run(*words, "--json")
    assert broken.exit_code == 1
    (known,) = json.loads(broken.stdout)
    assert (known["line"], known["status"], known["result"]["app_password"][:3]) == (2, "created", "gp_")
    problem = json.loads(broken.stderr)
    assert (problem["code"], problem["detail"]) == (code, told.format(file=rows))
    assert "run this again" in problem["fix"]
    again = cli.json(*words)
    assert [one["status"] for one in again] == ["existing", "created", "created"]


def test_a_run_that_breaks_off_says_how_far_it_came(cli: Cli, api: ApiWorld, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "results.jsonl"
    rows.write_text(HEADING + "A,bob,yes,yes\nB,bob,yes,yes\nC,bob,yes,yes\n")
    words = ("provision", "batch", str(rows), "--out", str(out), "--size", "1")
    broken = breaking(cli, api, *AWAY).run(*words)
    assert "3 rows in" in broken.stdout
    assert "1 created, 0 existing, 0 failed, 2 not tried" in broken.stdout
    assert "gp_" in broken.stdout
    assert [one["status"] for one in cli.json(*words)] == ["created"] * 3


def test_every_mistake_of_a_file_is_told_before_the_first_row(cli: Cli, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    heading = "tenant,local_part,display_name,environment,app_password\n"
    rows.write_text(f"{heading}A,bob,,,\nB,bob,{'x' * 1001},prod,\nC,bob,,,yes\n")
    result = cli.run("provision", "batch", str(rows), "--size", "1")
    assert result.exit_code == 2
    for place in ("3: display_name: allowed", "3: environment: allowed", "4: app_password: it needs"):
        assert f"{rows}:{place}" in result.stderr
    assert [row["name"] for row in cli.json("tenant", "list")] == ["platform"]


def test_the_records_of_a_provisioned_domain_can_be_read(cli: Cli) -> None:
    made = cli.run("provision", "--tenant", "Acme", "--local-part", "bob", "--domain", "acme.example")
    assert made.exit_code == 0
    assert "domain           acme.example (pending)\n" in made.stdout
    assert "shard            s1.mail.acme." in made.stdout
    assert "{" not in made.stdout
    told = made.stdout.partition("`gatepost domain verify acme.example`:")[2]
    assert told.strip() == cli.run("domain", "records", "acme.example").stdout.strip()
    trial = cli.run("provision", "--tenant", "Acme", "--local-part", "eve")
    assert "domain verify" not in trial.stdout


SECRETS = {
    "app-password": ("app-password", "create", "bob@acme.trial.gatepost.test"),
    "api-key": ("api-key", "create", "robot"),
    "webhook": ("webhook", "create", "https://acme.example/", "--tenant", "Acme"),
    "provision": ("provision", "--tenant", "Acme", "--local-part", "eve", "--smtp", "--app-password"),
}


@pytest.mark.parametrize("words", SECRETS.values(), ids=SECRETS)
def test_quiet_loses_no_secret(cli: Cli, words: tuple[str, ...]) -> None:
    cli.json("provision", "--tenant", "Acme", "--local-part", "bob", "--smtp")
    made = cli.run(*words, "--quiet")
    assert made.exit_code == 0, made.stderr
    (name,) = made.stdout.split()
    told, secret = made.stderr.split()
    assert told == name
    assert len(secret) > 20


def test_quiet_loses_no_secret_of_many(cli: Cli, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(HEADING + "A,bob,yes,yes\nB,a b,yes,yes\nC,bob,,\n")
    done = cli.run("provision", "batch", str(rows), "--quiet")
    first, second = done.stdout.split()
    assert first != second
    told, secret = done.stderr.split()
    assert (told, secret[:3]) == (first, "gp_")
