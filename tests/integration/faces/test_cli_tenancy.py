"""The commands of tenants, workspaces, accounts, passwords, lists and limits, as clients of the API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.control.tenants.service import TenantService
from tests.support.cli import Cli

pytestmark = pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)


@pytest.fixture
def acme(cli: Cli) -> str:
    """Acme, with hello@ under its trial name: the address."""
    tenant = cli.json("tenant", "create", "Acme", "--client-id", "7", "--metadata", "crm=1")
    address = f"hello@{tenant['domains'][0]}"
    cli.json("account", "create", address, "--tenant", "Acme", "--smtp")
    return address


def test_lists_are_filtered_sorted_and_cut(cli: Cli, acme: str) -> None:
    cli.json("tenant", "create", "Beta")
    names = [row["name"] for row in cli.json("tenant", "list", "--sort", "-name", "--most", "2")]
    assert names == ["platform", "Beta"]
    assert [row["name"] for row in cli.json("tenant", "list", "--metadata", "crm=1")] == ["Acme"]
    assert [row["address"] for row in cli.json("account", "list", "--tenant", "Acme")] == [acme]
    [grant_id] = cli.run("account", "list", "--quiet").stdout.split()
    assert cli.json("account", "show", grant_id)["address"] == acme


def test_filters_take_the_words_that_tables_and_other_commands_have(cli: Cli, acme: str) -> None:
    assert [row["address"] for row in cli.json("account", "list", "--smtp", "yes")] == [acme]
    assert cli.json("account", "list", "--imap", "yes") == []
    assert [row["address"] for row in cli.json("account", "list", "--imap", "false")] == [acme]
    assert {row["is_default"] for row in cli.json("workspace", "list", "--default", "yes")} == {True}
    assert cli.json("dkim-key", "list", "--algorithm", "ed25519") == []
    assert cli.json("dkim-key", "list", "--algorithm", "rsa") == cli.json("dkim-key", "list")
    assert cli.refused("dkim-key", "list", "--algorithm", "dsa") == (1, "bad-algorithm")


def test_deleting_asks_unless_it_is_told_not_to(cli: Cli, acme: str) -> None:
    asked = cli.run("account", "delete", acme, stdin="n\n")
    assert asked.exit_code == 1
    assert "Delete the account" in asked.stderr
    assert "--yes" in asked.stderr
    assert cli.refused("account", "delete", acme) == (1, "confirmation-needed")
    assert cli.json("account", "show", acme)["status"] == "active"
    gone = cli.json("account", "delete", acme, "--yes", "--grace", "7d", "--reason", "left")
    assert (gone["status"], gone["status_reason"]) == ("deleting", "left")
    assert cli.json("account", "restore", acme)["status"] == "active"
    assert cli.run("account", "delete", acme, "--grace", "soon").exit_code == 2


def test_a_move_tells_what_changes_before_it_is_made(cli: Cli, acme: str) -> None:
    cli.json("workspace", "create", "own", "--tenant", "Acme", "--policy", "free")
    looked = cli.run("account", "move", acme, "--workspace", "own", "--dry-run")
    assert "limits.account.messages_per_day" in looked.stdout
    assert "Nothing was changed." in looked.stdout
    assert "auto" in looked.stdout
    assert "explicit" in looked.stdout
    cli.json("tenant", "move", "Acme", "--workspace", "own")
    assert cli.json("account", "show", acme)["workspace"] == "own"
    preview = cli.run("tenant", "preview", "Acme", "--plan", "trial")
    assert preview.exit_code == 0
    assert cli.json("tenant", "preview", "Acme", "--plan", "trial")["to_plan"] == "trial"


def test_tables_say_where_an_account_is_and_how_it_came_there(cli: Cli, acme: str) -> None:
    row = next(line for line in cli.run("account", "list").stdout.splitlines() if acme in line)
    assert row.split()[-3:-1] == ["default", "auto"]
    moved = cli.run("tenant", "move", "Acme", "--workspace", "default").stdout
    row = next(line for line in moved.splitlines() if acme in line)
    assert row.split()[1:5] == ["default", "default", "auto", "explicit"]


def test_a_password_is_printed_once(cli: Cli, acme: str) -> None:
    made = cli.json("app-password", "create", acme, "--label", "laptop", "--expires", "2040-01-01")
    assert made["expires_at"] == "2040-01-01T00:00:00Z"
    assert "fix" not in made
    [listed] = cli.json("app-password", "list", acme)
    assert (listed["id"], listed["last_used_at"]) == (made["id"], None)
    assert cli.json("app-password", "update", made["id"], "--label", "desktop")["label"] == "desktop"
    cli.json("app-password", "revoke", made["id"])
    assert cli.json("app-password", "list", acme) == []
    assert len(cli.json("app-password", "list", acme, "--revoked")) == 1
    assert cli.refused("app-password", "create", acme, "--expires", "soon") == (2, "bad-time")


def test_the_table_of_passwords_says_whose_each_is_and_which_are_revoked(cli: Cli, acme: str) -> None:
    password = cli.json("app-password", "create", acme)["id"]
    head, row = cli.run("app-password", "list").stdout.splitlines()
    assert (head.split()[:2], row.split()[:2]) == (["id", "login"], [password, acme])
    assert "revoked at" not in head
    cli.json("app-password", "revoke", password)
    head, row = cli.run("app-password", "list", "--revoked").stdout.splitlines()
    assert head.rstrip().endswith("revoked at")
    assert not row.rstrip().endswith("-")


def test_an_export_is_lines_a_file_or_one_document(cli: Cli, acme: str, tmp_path: Path) -> None:
    documents = cli.json("tenant", "export", "Acme")
    assert acme in {one.get("address") for one in documents}
    lines = cli.run("tenant", "export", "Acme").stdout.splitlines()
    assert [json.loads(line) for line in lines] == documents
    out = tmp_path / "acme.jsonl"
    assert cli.run("tenant", "export", "Acme", "--out", str(out)).exit_code == 0
    assert (out.stat().st_mode & 0o777, len(out.read_text().splitlines())) == (0o600, len(documents))


def test_many_items_are_sent_in_parts_and_progress_is_told_on_demand(cli: Cli, tmp_path: Path) -> None:
    cli.json("list", "create", "bad", "--kind", "domain")
    names = tmp_path / "names"
    names.write_text("# spammers\n" + "".join(f"d{number}.example\n" for number in range(1_500)))
    added = cli.run("list", "add", "bad", "--file", str(names), "--progress")
    assert "items: 1500 of 1500" in added.stderr
    assert cli.json("list", "show", "bad")["items"] == 1_500
    assert len(cli.json("list", "items", "bad")) == 1_500
    quiet = cli.run("list", "remove", "bad", "d1.example")
    assert quiet.stderr == ""
    assert cli.refused("list", "add", "bad") == (2, "no-items")


def test_limits_are_raised_by_name(cli: Cli, acme: str) -> None:
    cli.json("workspace", "create", "own", "--tenant", "Acme", "--policy", "free")
    cli.json("account", "move", acme, "--workspace", "own")
    raised = cli.json("limit", "raise", acme, "daily=500", "--until", "2040-01-01", "--reason", "launch")
    assert raised["limits"] == {"messages_per_day": 500}
    assert [row["id"] for row in cli.json("limit", "list", "--state", "active")] == [raised["id"]]
    assert cli.json("limit", "revoke", raised["id"])["state"] == "revoked"
    assert cli.refused("limit", "raise", acme, "daily", "--until", "2040-01-01", "--reason", "x")[0] == 2


def test_a_mistake_is_told_in_the_words_of_the_command(cli: Cli, acme: str) -> None:
    passed = cli.run("limit", "raise", acme, "daily=500", "--until", "2020-01-01", "--reason", "x")
    assert "Give a later time until which it holds." in passed.stderr
    long = cli.run("domain", "page", acme.partition("@")[2], "--ttl", "400d")
    assert (long.exit_code, "'--ttl': 400d is not between 1min and 90d." in long.stderr) == (2, True)
    hook = cli.json("webhook", "create", "https://hooks.example.net/a", "--tenant", "Acme", "--event", "*")
    failed = cli.run("webhook", "deliveries", hook["id"], "--state", "failed")
    assert failed.stderr == "no failed deliveries\n"


def test_what_is_refused_says_so_like_the_api(cli: Cli, acme: str) -> None:
    assert cli.refused("tenant", "show", "none") == (1, "tenant-not-found")
    assert cli.refused("account", "move", acme) == (1, "no-destination")


def test_what_nobody_foresaw_is_an_error_like_others(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TenantService, "page", lambda *_: 1 / 0)
    assert cli.refused("tenant", "list") == (1, "internal-error")


def test_a_time_of_grace_is_told_and_given_in_days(cli: Cli) -> None:
    acme = cli.json("tenant", "create", "Acme")
    cli.json("domain", "add", "acme.example", "--tenant", acme["id"])
    told = cli.run("domain", "delete", "acme.example", "--grace", "100d", "--yes").stderr
    assert "100 days are no time of grace" in told
    assert "0 to 90 days" in told
    assert cli.json("domain", "delete", "acme.example", "--grace", "0", "--yes")["purge_at"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("audit", "list", "--database", "foo"), "Choose from control"),
        (
            ("domain", "undelegate", "acme.example", "--to", "acme"),
            "gatepost domain delegations acme.example",
        ),
        (("source", "create", "mx9.example", "--ipv4", "192.0.2.5"), "gatepost source show mx1.example"),
    ],
)
def test_what_to_do_next_is_a_command_that_there_is(cli: Cli, arguments: tuple[str, ...], named: str) -> None:
    acme = cli.json("tenant", "create", "acme")
    cli.json("domain", "add", "acme.example", "--tenant", acme["id"])
    cli.json("source", "create", "mx1.example", "--ipv4", "192.0.2.5")
    assert named in cli.run(*arguments).stderr


def test_a_slash_in_a_name_is_part_of_the_name(cli: Cli) -> None:
    made = cli.json("tenant", "create", "Smith/Jones & Co")
    assert cli.json("tenant", "show", "Smith/Jones & Co")["id"] == made["id"]
    assert cli.json("tenant", "suspend", "Smith/Jones & Co", "--reason", "unpaid")["status"] == "suspended"
    assert "There is no tenant 'Smith/Jones'" in cli.run("tenant", "show", "Smith/Jones").stderr
    hook = cli.json("webhook", "create", "https://hooks.example.com/in/one")
    assert cli.json("webhook", "show", "https://hooks.example.com/in/one")["id"] == hook["id"]
