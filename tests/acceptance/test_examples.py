"""The examples in conf/examples do what they say, against a served quickstart and a name server on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway, wait_until
from tests.support.nameservers import Authority, running_authority, running_resolver
from tests.support.peers import RequirePeer

EXAMPLES = Path(__file__).parents[2] / "conf/examples"


ZONES = ("shell.example", "unproved.example", "acme.example")


@pytest.fixture(scope="module")
def zones(require_peer: RequirePeer) -> Iterator[Authority]:
    """The customers' name server: nothing is published until a test does."""
    with running_authority(require_peer, *ZONES) as running:
        yield running


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, require_peer: RequirePeer, zones: Authority
) -> Iterator[Gateway]:
    """A quickstart that finds that name server."""
    with running_resolver(require_peer, dict.fromkeys(ZONES, zones.port)) as resolver:
        settings = f'\n[dns]\nservers = ["{resolver.address}"]\nauthority_port = {zones.port}\n'
        gateway = Gateway(tmp_path_factory.mktemp("examples") / "var", settings=settings).start()
        yield gateway
        assert gateway.stop() == 0


def environment(gateway: Gateway, **more: str) -> dict[str, str]:
    """What the examples read."""
    api = gateway.state["api"]
    return {**os.environ, "GATEPOST_URL": api["url"], "GATEPOST_KEY": api["key"], **more}


def get(gateway: Gateway, path: str) -> Any:
    """The JSON of a GET."""
    api = gateway.state["api"]
    reply = httpx.get(api["url"] + path, headers={"Authorization": f"Bearer {api['key']}"}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


class TestProvisionScript:
    def run(self, gateway: Gateway, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", EXAMPLES / "provision.sh", *arguments],
            env=environment(gateway, GATEPOST_EVERY="1", **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_provisions_waits_for_dns_and_shows_the_test(
        self, served: Gateway, zones: Authority, require_peer: RequirePeer
    ) -> None:
        require_peer("curl")
        arguments = ("Shell & Söhne", "shell.example", "billing", "someone@example.org")
        script = self.run(served, *arguments)
        assert script.stdout is not None
        first = []
        for line in script.stdout:
            first.append(line)
            if line.startswith("    ") and "\t" in line:
                zones.put(*line.strip().split("\t"))
            if line.startswith("Waiting"):
                break
        rest, errors = script.communicate(timeout=60)
        assert script.returncode == 0, errors
        assert "the account is billing@shell.example now" in rest
        assert "    someone@example.org: delivered" in rest
        assert any(line.startswith("Password: gp") for line in first) or any(
            "shown this once" in line for line in first
        )

        before = get(served, "/v1/accounts?domain=shell.example")["items"]
        again, errors = self.run(served, *arguments).communicate(timeout=60)
        assert errors == ""
        assert "Password: as it was." in again
        assert get(served, "/v1/accounts?domain=shell.example")["items"] == before

    def test_says_what_is_missing_in_dns(self, served: Gateway, require_peer: RequirePeer) -> None:
        require_peer("curl")
        script = self.run(served, "Unproved", "unproved.example", "a", "b@example.org", GATEPOST_WAIT="0")
        _, errors = script.communicate(timeout=60)
        assert script.returncode == 3
        assert "unproved.example is still pending" in errors
        assert "TXT is missing" in errors

    def test_a_refusal_says_what_to_do(self, served: Gateway, require_peer: RequirePeer) -> None:
        require_peer("curl")
        script = self.run(served, "Wrong", "no_domain", "a", "b@example.org")
        _, errors = script.communicate(timeout=60)
        assert script.returncode == 1
        assert "Refused: 'no_domain' cannot be a domain" in errors


class TestAnsibleRole:
    def run(self, gateway: Gateway, home: Path) -> subprocess.Popen[str]:
        more = {"HOME": str(home), "ANSIBLE_LOCAL_TEMP": str(home / "tmp"), "ANSIBLE_NOCOLOR": "1"}
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "ansible", "playbook", EXAMPLES / "ansible/playbook.yml"),
                *("-e", f"gatepost_every=1 ansible_python_interpreter={sys.executable}"),
            ],
            env=environment(gateway, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @pytest.mark.timeout(300)
    def test_a_second_run_changes_nothing(self, served: Gateway, zones: Authority, tmp_path: Path) -> None:
        playbook = self.run(served, tmp_path)
        wait_until(lambda: get(served, "/v1/domains?name=acme.example")["items"], 60, "the domain")
        for record in get(served, "/v1/domains/acme.example/records")["items"]:
            if record["publisher"] == "customer":
                zones.put(record["name"], record["type"], record["value"])
        output, _ = playbook.communicate(timeout=100)
        assert playbook.returncode == 0, output
        assert '"someone@example.org": "delivered"' in output
        account = get(served, "/v1/accounts?domain=acme.example")["items"]
        assert [one["address"] for one in account] == ["billing@acme.example"]
        messages = get(served, f"/v1/messages?account={account[0]['id']}")["items"]

        output, _ = (playbook := self.run(served, tmp_path)).communicate(timeout=100)
        assert playbook.returncode == 0, output
        assert "changed=0" in output
        assert get(served, "/v1/accounts?domain=acme.example")["items"] == account
        assert get(served, f"/v1/messages?account={account[0]['id']}")["items"] == messages
