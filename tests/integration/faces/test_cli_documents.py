"""The commands of documents: `policy plan`, `plan PATH`, `apply`, `export`, and provisioning from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from gateway.faces.cli.program import build
from tests.support.cli import Cli

pytestmark = pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy, a plan that it is below, and a tenant."""
    files = {
        "policies/small.toml": "[limits.account]\nmessages_per_day = 5\n",
        "policies/plans/tiny.toml": "[limits.account]\nmessages_per_day = 10\n",
        "acme.toml": '[[tenants]]\nname = "Acme"\nplan = "tiny"\n',
        ".hidden.toml": "no TOML",
        "notes.txt": "not for the API",
    }
    root = tmp_path / "declared"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_policies_of_a_folder_are_applied_with_its_plans(cli: Cli, folder: Path) -> None:
    planned = cli.json("policy", "plan", str(folder / "policies"))
    assert {(one["kind"], one["name"], one["change"]) for one in planned} == {
        ("policy", "small", "new"),
        ("plan", "tiny", "new"),
    }
    assert "small: new, version 1" in cli.run("policy", "apply", str(folder / "policies")).stdout
    assert cli.json("policy", "show", "plans/tiny")["kind"] == "plan"
    assert cli.json("plan", "show", "tiny")["version"] == 1
    assert [one["version"] for one in cli.json("policy", "versions", "small")] == [1]
    assert cli.json("policy", "delete", "small", "--yes")["name"] == "small"


def test_a_single_document_knows_from_its_folder_what_it_is(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "policies/plans")
    assert [one["kind"] for one in cli.json("policy", "plan", "tiny.toml")] == ["plan"]


def test_mistakes_end_with_2_and_name_file_and_line(cli: Cli, folder: Path) -> None:
    wrong = folder / "policies/wrong.toml"
    wrong.write_text("[limits.account]\nmessages_per_dya = 5\n")
    result = cli.run("policy", "apply", str(folder / "policies"))
    assert result.exit_code == 2
    assert f"{wrong}:2: limits.account.messages_per_dya" in result.stderr
    assert cli.refused("plan", str(folder)) == (2, "declarations-invalid")
    wrong.write_bytes(b"\n\xff")
    result = cli.run("policy", "plan", str(wrong))
    assert (result.exit_code, f"{wrong}:2: not UTF-8" in result.stderr) == (2, True)
    assert cli.refused("policy", "plan", str(folder / "policies" / "none.toml"))[0] == 2


def test_plan_says_by_its_exit_code_whether_something_would_change(cli: Cli, folder: Path) -> None:
    assert cli.run("plan", str(folder)).exit_code == 0
    assert cli.run("plan", "--exit-code", str(folder)).exit_code == 2
    applied = cli.json("apply", str(folder))
    assert ("tenant", "Acme") in {(one["kind"], one["name"]) for one in applied["changes"]}
    after = cli.run("plan", str(folder), "--exit-code")
    assert (after.exit_code, after.stdout) == (0, "no changes\n")


def test_with_its_exit_code_no_mistake_looks_like_a_change(cli: Cli, folder: Path) -> None:
    policies = str(folder / "policies")
    assert cli.run("policy", "plan", policies, "--exit-code").exit_code == 2
    assert cli.run("policy", "apply", policies).exit_code == 0
    assert cli.run("policy", "apply", policies).stdout == "no changes\n"
    assert cli.run("policy", "plan", "--exit-code", policies).exit_code == 0
    assert cli.run("policy", "plan", policies).exit_code == 0
    wrong = folder / "policies/wrong.toml"
    for octets in (b"[limits.account]\nmessages_per_dya = 5\n", b"\n\xff"):
        wrong.write_bytes(octets)
        for words in (("plan", str(folder)), ("policy", "plan", policies)):
            assert cli.run(*words, "--exit-code").exit_code == 1
            assert cli.refused(*words, "--exit-code")[0] == 1
            assert cli.run(*words).exit_code == 2
    for words in (("plan", "/nowhere"), ("plan",), ("plan", policies, "--colour"), ("policy", "plan")):
        assert cli.run(*words, "--exit-code").exit_code == 1, words
        assert cli.refused(*words, "--exit-code") == (1, "usage")


def test_mistakes_are_rows_for_programs(cli: Cli, folder: Path) -> None:
    (folder / "acme.toml").write_text('[[tenants]]\nname = "Acme"\nplan = "nosuch"\nplam = 1\n')
    (folder / "policies/wrong.toml").write_text("[limits.account]\nmessages_per_dya = 5\n")
    result = cli.run("plan", str(folder), "--json")
    document = json.loads(result.stderr)
    assert set(document) == {"code", "detail", "fix", "problems"}
    assert document["detail"].count("\n") == 2
    assert [(Path(one["file"]).name, one["line"], one["key"]) for one in document["problems"]] == [
        ("acme.toml", 3, "tenants[0].plan"),
        ("acme.toml", 4, "tenants[0].plam"),
        ("wrong.toml", 2, "limits.account.messages_per_dya"),
    ]
    first, _, last = document["problems"]
    assert "There is no plan 'nosuch'" in first["message"]
    assert {"free", "standard"} <= set(first["allowed"].split(", "))
    assert "messages_per_day" in last["allowed"].split(", ")
    (folder / "policies/wrong.toml").write_bytes(b"\n\xff")
    [unreadable] = json.loads(cli.run("plan", str(folder), "--json").stderr)["problems"]
    assert (unreadable["line"], unreadable["message"]) == (2, "not UTF-8")


def test_what_is_exported_changes_nothing_when_it_is_applied(cli: Cli, folder: Path, tmp_path: Path) -> None:
    cli.json("apply", str(folder))
    out = tmp_path / "exported"
    assert cli.run("export", str(out)).exit_code == 0
    assert (out / "policies/small.toml").read_text() == (folder / "policies/small.toml").read_text()
    assert cli.json("plan", str(out), "--exit-code") == {"changes": []}
    assert "# policies/small.toml" in cli.run("export").stdout


def test_an_export_leaves_no_file_of_what_is_gone(cli: Cli, folder: Path, tmp_path: Path) -> None:
    cli.json("apply", str(folder))
    out = tmp_path / "exported"
    assert cli.run("export", str(out)).exit_code == 0
    (out / "README.md").write_text("ours")
    assert cli.run("export", str(out)).exit_code == 0, "what it would write itself is no obstacle"
    cli.json("tenant", "delete", "Acme", "--yes")
    gone, kept = out / "tenants/acme.toml", out / "policies/small.toml"
    kept.write_text("changed")
    result = cli.run("export", str(out))
    assert (result.exit_code, str(gone) in result.stderr, kept.read_text()) == (1, True, "changed")
    assert cli.refused("export", str(out)) == (1, "other-files")
    assert cli.run("export", str(out), "--replace").exit_code == 0
    assert not gone.exists()
    assert (out / "README.md").read_text() == "ours"
    assert cli.json("plan", str(out), "--exit-code") == {"changes": []}


def test_pruning_lists_what_would_go_and_asks(cli: Cli, folder: Path) -> None:
    (folder / "acme.toml").write_text(
        '[[tenants]]\nname = "Acme"\n[[tenants.workspaces]]\nname = "a"\n[[tenants.workspaces]]\nname = "b"\n'
    )
    cli.json("apply", str(folder))
    (folder / "acme.toml").write_text('[[tenants]]\nname = "Acme"\n[[tenants.workspaces]]\nname = "a"\n')
    assert cli.json("plan", str(folder)) == {"changes": []}
    asked = cli.run("apply", str(folder), "--prune")
    assert (asked.exit_code, "would be taken away: workspace b of Acme" in asked.stderr) == (1, True)
    assert {row["name"] for row in cli.json("workspace", "list", "--tenant", "Acme")} >= {"a", "b"}
    cli.json("apply", str(folder), "--prune", "--yes")
    assert "b" not in {row["name"] for row in cli.json("workspace", "list", "--tenant", "Acme")}


@pytest.mark.parametrize(("typed", "kinds"), [("./de", ["file"]), ("ver", ["file", "plain"])])
def test_a_shell_completes_paths_and_commands_of_plan(cli: Cli, typed: str, kinds: list[str]) -> None:
    shell = ShellComplete(build(cli.program), {}, "gatepost", "_GATEPOST_COMPLETE")
    assert [one.type for one in shell.get_completions(["plan"], typed)] == kinds


def test_plan_is_a_group_too(cli: Cli) -> None:
    assert "free" in {row["name"] for row in cli.json("plan", "list")}
    assert cli.run("plan").exit_code == 2
    assert "plan PATH" in cli.run("plan", "--help").stdout


def test_one_identity_is_provisioned(cli: Cli) -> None:
    words = ("provision", "--tenant", "Acme", "--local-part", "support", "--client-id", "u1")
    made = cli.json(*words, "--smtp", "--app-password")
    assert made["app_password"]
    again = cli.json(*words)
    assert (again["grant_id"], again["app_password"]) == (made["grant_id"], None)
    assert cli.refused("provision", "--tenant", "Acme")[0] == 2


def test_nothing_is_on_that_the_command_was_not_asked_for(cli: Cli) -> None:
    words = ("provision", "--tenant", "Acme", "--local-part", "support")
    assert cli.refused(*words, "--app-password") == (1, "no-protocol-on")
    made = cli.json(*words)
    account = cli.json("account", "show", made["grant_id"])
    assert (account["smtp"], account["imap"], made["app_password"]) == (False, False, None)


def test_a_file_is_provisioned_row_by_row_and_gone_on_with(cli: Cli, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "tenant,local_part,workspace,smtp,app_password,metadata.crm\n"
        "A,support,,yes,true,1\nB,support,nowhere,yes,true,2\nC,support,,,,3\n"
    )
    out = tmp_path / "results.jsonl"
    first = cli.run("provision", "batch", str(rows), "--out", str(out), "--size", "1", "--progress", "--json")
    assert first.exit_code == 1
    assert [one["status"] for one in json.loads(first.stdout)] == ["created", "failed", "created"]
    assert "provisioned: 3 of 3" in first.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    kept = out.read_text()
    out.write_text(kept + '\n{"row": 2, "sta')
    cli.json("workspace", "create", "nowhere")
    second = cli.run("provision", "batch", str(rows), "--out", str(out), "--progress", "--json")
    assert second.exit_code == 0
    results = json.loads(second.stdout)
    assert [(one["row"], one["line"]) for one in results] == [(0, 2), (1, 3), (2, 4)]
    assert results[0]["result"]["app_password"], "what the first run gave is not lost"
    assert "provisioned: 1 of 1" in second.stderr
    rows.write_text("tenant,local_part\nD,support\n")
    assert cli.refused("provision", "batch", str(rows), "--out", str(out)) == (2, "other-input")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("rows.csv", "tenant,colour\nA,red\n", "rows.csv:1: colour: no column of this name"),
        ("rows.csv", "tenant,local_part,smtp\nA,b,maybe\n", "rows.csv:2: smtp:"),
        ("rows.json", '[{"tenant": {}}]', "rows.json:1: account.local_part"),
        ("rows.json", "[{", "rows.json:1: no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    cli: Cli, tmp_path: Path, name: str, text: str, told: str
) -> None:
    rows = tmp_path / name
    rows.write_text(text)
    result = cli.run("provision", "batch", str(rows))
    assert result.exit_code == 2
    assert told in result.stderr
    assert [row["name"] for row in cli.json("tenant", "list")] == ["platform"]
