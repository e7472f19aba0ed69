"""The commands of the sending side: sources, shards, keys, sending, the queue, reports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.faces.cli.client import ApiClient
from tests.support.api import ApiWorld
from tests.support.cli import Cli
from tests.support.control import OPERATOR

pytestmark = pytest.mark.parametrize("database_dialect", ["sqlite"], indirect=True)

ADDRESS = "app@acme.test"


@pytest.fixture(autouse=True)
def _account(api: ApiWorld) -> None:
    api.services.tenants.create(OPERATOR, "Acme")
    api.services.domains.add(OPERATOR, "acme.test", tenant="Acme")
    api.services.domains.mark_verified(OPERATOR, "acme.test", "test")
    api.services.accounts.create(OPERATOR, ADDRESS, tenant="Acme")


def test_shards_and_sources_are_made_changed_and_retired(cli: Cli) -> None:
    cli.json("source", "create", "out.gatepost.test", "--ipv4", "192.0.2.1", "--pool", "big")
    assert cli.json("source", "update", "out.gatepost.test", "--metadata", "rack=7")["metadata"] == {
        "rack": "7"
    }
    made = cli.json("shard", "create", "s.acme.test", "--tenant", "Acme", "--route", "capture:")
    assert made["source"] == "out.gatepost.test"
    assert cli.json("shard", "update", "s.acme.test", "--weight", "7", "--stream", "bulk")["weight"] == 7
    assert cli.json("shard", "pause", "s.acme.test")["state"] == "paused"
    assert cli.json("shard", "retire", "s.acme.test", "--yes")["state"] == "retired"
    assert cli.json("source", "retire", "out.gatepost.test", "--yes")["state"] == "retired"


def test_tables_show_what_is_looked_up_in_them(cli: Cli) -> None:
    cli.json("source", "create", "out.gatepost.test", "--ipv4", "192.0.2.1", "--plan", "free")
    assert cli.run("source", "list").stdout.splitlines()[1].split()[-3:-1] == ["active", "free"]
    tenant = cli.json("tenant", "show", "Acme")["id"]
    cli.json("api-key", "create", "crm", "--tenant", "Acme")
    assert tenant in cli.run("api-key", "list", "--name", "crm").stdout
    # A tenant's key sees no numbers: the id is what `audit show` takes from it.
    entries = [row["id"] for row in cli.json("audit", "list")]
    assert [line.split()[-1] for line in cli.run("audit", "list").stdout.splitlines()] == ["id", *entries]


def test_a_key_is_rotated_and_told_apart(cli: Cli) -> None:
    (first,) = cli.json("dkim-key", "list", "--domain", "acme.test")
    assert cli.json("dkim-key", "update", first["id"], "--client-id", "k-1")["client_id"] == "k-1"
    (successor,) = cli.json("dkim-key", "rotate", "acme.test")
    assert cli.json("dkim-key", "show", successor["name"])["id"] == successor["id"]


def test_a_message_is_sent_held_traced_and_dropped(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    options = ("--to", "b@example.net", "--subject", "hi", "--text", str(text), "--header", "X-Order: 7")
    with capture_logs():
        sent = cli.json("message", "send", ADDRESS, *options, "--tag", "order")
    assert [row["account"] for row in cli.json("queue", "list", "--account", ADDRESS)] == [ADDRESS]
    (held,) = cli.json("queue", "hold", sent["id"], "--yes", "--reason", "odd")
    assert held["state"] == "held"
    assert cli.json("queue", "show", sent["id"])["recipients"][0]["state"] == "held"
    cli.json("queue", "drop", sent["id"], "--yes")
    kinds = [row["kind"] for row in cli.json("trace", sent["id"])]
    assert kinds == ["accepted", "held", "dropped"]
    shown = cli.json("message", "show", sent["id"])
    assert (shown["tags"], shown["states"]) == (["order"], {"dropped": 1})
    assert cli.json("refused", "list") == []


def test_a_header_without_a_colon_is_a_wrong_use(cli: Cli) -> None:
    result = cli.run("message", "send", ADDRESS, "--to", "b@example.net", "--header", "odd")
    assert result.exit_code == 2


def test_the_reports_tell_what_there_is(cli: Cli, api: ApiWorld) -> None:
    api.mail(ADDRESS)
    assert cli.json("status")["queue"]["ready"] == 1
    table = csv.DictReader(io.StringIO(cli.run("usage", "--month", "2027-01", "--csv").stdout))
    assert [row["tenant"] for row in table] == ["Acme"]
    types = [event["type"] for event in cli.json("events", "list", "--type", "account.*")]
    assert types == ["gatepost.account.created"]
    verdict = cli.json("audit", "verify")
    assert (verdict["whole"], verdict["problem"]) == (True, None)
    assert {one["database"] for one in verdict["databases"]} == {"control", "default"}


def test_following_events_ends_in_silence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ApiClient, "get", interrupt)
    result = cli.run("events", "tail")
    assert (result.exit_code, result.output) == (130, "")


def test_the_audit_is_exported_line_by_line_for_a_tenant_and_a_time(cli: Cli, api: ApiWorld) -> None:
    acme = api.services.tenants.show(OPERATOR, "Acme")
    api.services.tenants.create(OPERATOR, "Other")
    entries = [json.loads(line) for line in cli.run("audit", "export").stdout.splitlines()]
    numbers = [one["number"] for one in entries if one["database"] == "control"]
    assert numbers == list(range(1, len(numbers) + 1))
    own = [json.loads(line) for line in cli.run("audit", "export", "--tenant", "Acme").stdout.splitlines()]
    assert own == [one for one in entries if one["tenant_id"] == acme.id]
    assert cli.json("audit", "export", "--tenant", acme.id) == own
    assert cli.run("audit", "export", "--quiet", "--tenant", "Acme").stdout.split() == [o["id"] for o in own]
    assert cli.run("audit", "export", "--until", "2001-01-01").stdout == ""
    assert cli.run("audit", "export", "--since", "2001-01-01", "--until", "2999-01-01").stdout.count(
        "\n"
    ) == len(entries)
    refused = cli.run("audit", "export", "--tenant", "nobody")
    assert refused.exit_code == 1
    assert "nobody" in refused.stderr
