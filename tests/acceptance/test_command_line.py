"""The command line of a gateway that serves: what it loads, explains, tries out; and as a client by URL."""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import CliError, Gateway, plain_message, submit

HEAVY = ("sqlalchemy", "fastapi", "pydantic", "structlog", "cryptography")
NO_RIVALS = """
extends = "default"
[[rules]]
name = "nothing to rivals"
any = [{ field = "to.domain", op = "is", value = "rival.example" }]
action = "reject"
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("commands") / "var").start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def no_rivals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that refuses mail to rivals."""
    path = tmp_path_factory.mktemp("documents") / "strict.toml"
    path.write_text(NO_RIVALS)
    return path


def test_a_command_needs_no_database_while_the_gateway_serves(gateway: Gateway) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gateway", "--config", gateway.config]
    done = subprocess.run(
        [*command, "tenant", "list", "--json"], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "gateway" in loaded
    assert not loaded & set(HEAVY)


def test_what_is_explained_is_what_happens(gateway: Gateway, no_rivals: Path) -> None:
    gateway.cli("policy", "apply", str(no_rivals))
    gateway.cli("workspace", "create", "strict", "--tenant", gateway.tenant_id, "--policy", "strict")
    address = f"strict@{gateway.state['domain']}"
    tenant, workspace = ("--tenant", gateway.tenant_id), ("--workspace", "strict")
    gateway.cli("account", "create", address, *tenant, *workspace, "--smtp")
    made = gateway.cli("app-password", "create", address)
    told = gateway.cli("policy", "explain", address, "--to", "a@rival.example", "--credential", made["id"])
    assert (told["credential"], told["policy"]) == (made["id"], "strict")
    with gateway.smtp(address, made["app_password"]) as client:
        with pytest.raises(smtplib.SMTPException) as caught:
            client.sendmail(address, ["a@rival.example"], plain_message(address, "a@rival.example"))
    assert told["reply"].split(" ", 2)[1] in str(caught.value)
    allowed = gateway.cli("policy", "explain", address, "--to", "a@friend.example")
    assert allowed["reply"].startswith("250 ")
    with pytest.raises(CliError) as other:
        gateway.cli("policy", "explain", gateway.address, "--credential", made["id"])
    assert other.value.document["code"] == "other-account"


def test_a_changed_policy_is_tried_on_what_was_sent(gateway: Gateway, no_rivals: Path) -> None:
    with gateway.smtp(gateway.address, gateway.password) as client:
        refused, _ = (
            submit(client, plain_message(gateway.address, to), (to,), gateway.address)
            for to in ("a@rival.example", "a@friend.example")
        )
    account = gateway.cli("account", "show", gateway.address)
    tried = gateway.cli(
        "policy", "simulate", str(no_rivals), "--workspace", account["workspace"], "--days", "1"
    )
    assert [one["message_id"] for one in tried["differences"]] == [refused]
    assert (tried["refused"], tried["accepted"], tried["policy"]) == (1, 1, "strict")
    assert re.match(r"\d{4}-", tried["since"])


def test_the_same_commands_work_by_url_with_a_key(gateway: Gateway, tmp_path: Path) -> None:
    api = gateway.state["api"]
    environment = {**os.environ, "GATEPOST_KEY": api["key"], "GATEPOST_URL": api["url"]}
    rows = tmp_path / "rows.csv"
    rows.write_text("tenant,local_part\nByUrl,support\n")
    command = [sys.executable, "-m", "gateway"]
    done = subprocess.run(
        [*command, "provision", "batch", str(rows), "--quiet"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        timeout=120,
    )
    assert gateway.cli("account", "show", done.stdout.strip())["address"].startswith("support@")
