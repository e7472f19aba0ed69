"""Zone snippets of real domains, held against BIND's own checker of zones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.api import ApiWorld
from tests.support.cli import Cli
from tests.support.peers import RequirePeer

HEAD = """@ 3600 IN SOA ns.acme.test. hostmaster.acme.test. 1 3600 600 86400 60
@ 3600 IN NS ns.acme.test.
ns 3600 IN A 192.0.2.1
"""


@pytest.mark.parametrize("options", [(), ("--origin", "acme.test")], ids=["whole names", "relative names"])
def test_a_checker_of_zones_finds_nothing_wrong(
    api: ApiWorld, cli: Cli, require_peer: RequirePeer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    checker = require_peer("named-checkzone")
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme", "mode": "send-receive"})
    api.done("POST", "/v1/shards", {"name": "s1.acme.test", "tenant": "Acme"})
    snippet = cli.run("domain", "records", "acme.test", "--format", "bind", *options).stdout
    assert "_gatepost-challenge" in snippet
    zone = tmp_path / "acme.test.zone"
    zone.write_text(HEAD + snippet)
    found = subprocess.run(
        [str(checker), "-i", "local", "acme.test", str(zone)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.splitlines() == ["zone acme.test/IN: loaded serial 1", "OK"]


def test_the_text_for_an_email_has_every_record_of_the_customer(api: ApiWorld, cli: Cli) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    text = cli.run("domain", "records", "acme.test", "--format", "email").stdout
    records = cli.json("domain", "records", "acme.test")
    for record in records:
        assert (f"   Name:  {record['name']}\n" in text) is (record["publisher"] == "customer")


def test_the_table_says_what_is_needed_who_publishes_it_what_is_there_and_why_not(
    api: ApiWorld, cli: Cli
) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme", "mode": "send-receive"})
    api.done("POST", "/v1/shards", {"name": "s1.acme.test", "tenant": "Acme"})
    records = api.done("GET", "/v1/domains/acme.test/records")["items"]
    assert {record["state"] for record in records} == {"unchecked"}
    looked = api.done("POST", "/v1/domains/acme.test/verify")["records"]
    records = cli.json("domain", "records", "acme.test")
    assert records == looked
    assert {record["state"] for record in records} == {"missing"}
    text = cli.run("domain", "records", "acme.test").stdout
    table, _, below = text.partition("\n\n")
    for record in records:
        need = "required" if record["required"] else "recommended"
        line = next(
            one
            for one in table.splitlines()
            if one.split()[:3] == [record["name"], record["type"], record["purpose"]]
        )
        assert line.split()[3:6] == [need, record["publisher"], "missing"]
        for words in filter(None, (record["note"], record["hint"])):
            assert f"{record['type']} {record['name']}\n  {' '.join(words.split())}\n" in below
    assert {record["publisher"] for record in records} == {"customer", "platform"}


def test_a_new_shard_is_shown_with_the_records_it_needs(api: ApiWorld, cli: Cli) -> None:
    api.done("POST", "/v1/tenants", {"name": "Acme"})
    api.done("POST", "/v1/domains", {"name": "acme.test", "tenant": "Acme"})
    text = cli.run("shard", "create", "s1.acme.test", "--tenant", "Acme").stdout
    needed = [one for one in cli.json("domain", "records", "acme.test") if one["name"] == "s1.acme.test"]
    assert [one["type"] for one in needed] == ["CNAME"]
    assert needed[0]["value"] in text
    assert "acme.test  TXT" not in text
    assert "domain" in cli.json("shard", "create", "s2.acme.test", "--tenant", "Acme")
