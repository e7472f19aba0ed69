"""The platform's names in a real DNS: mail verifies through it, while keys change under traffic."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim
import dns.exception
import dns.resolver
import pytest

from tests.acceptance.test_first_message import split_capture
from tests.support.gateway import Gateway, plain_message, submit, wait_until
from tests.support.nameservers import (
    TSIG_NAME,
    TSIG_SECRET,
    Authority,
    LocalResolver,
    running_authority,
    running_resolver,
)
from tests.support.peers import RequirePeer

ZONE = "gatepost.test"


@pytest.fixture(scope="module")
def authority(require_peer: RequirePeer) -> Iterator[Authority]:
    """The operator's name server."""
    with running_authority(require_peer, ZONE) as running:
        yield running


@pytest.fixture(scope="module")
def resolver(require_peer: RequirePeer, authority: Authority) -> Iterator[LocalResolver]:
    """A receiver's resolver."""
    with running_resolver(require_peer, {ZONE: authority.port}) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, resolver: LocalResolver
) -> Iterator[Gateway]:
    """A gateway that publishes."""
    folder = tmp_path_factory.mktemp("gateway") / "var"
    running = Gateway(
        folder,
        settings=f"""
[publishing]
server = "{authority.address}"
zones = ["{ZONE}"]
tsig_name = "{TSIG_NAME}"
tsig_secret_file = "{folder}/tsig"
[dns]
servers = ["{resolver.address}"]
""",
    )
    secret = folder / "tsig"
    secret.touch(mode=0o600)
    secret.write_text(TSIG_SECRET)
    running.start()
    wait_until(lambda: running.cli("domain", "pending") == [], what="everything being published")
    yield running
    assert running.stop() == 0
    assert TSIG_SECRET not in running.log_text()


def verifies(resolver: LocalResolver, message: bytes) -> bool:
    """Whether an independent verifier accepts a message through that DNS."""
    asking = dns.resolver.Resolver(configure=False)
    asking.nameservers = ["127.0.0.1"]
    asking.port = resolver.port

    def text(name: bytes, timeout: int = 5) -> bytes | None:
        try:
            [record] = asking.resolve(name.decode(), "TXT")
        except dns.exception.DNSException:
            return None
        return b"".join(record.strings)

    return bool(dkim.verify(message, dnsfunc=text))


def keys_of(gateway: Gateway) -> dict[str, list[dict[str, Any]]]:
    """The demo domain's keys by state."""
    found: dict[str, list[dict[str, Any]]] = {}
    for key in gateway.cli("dkim-key", "list", "--domain", gateway.state["domain"]):
        found.setdefault(key["state"], []).append(key)
    return found


def test_a_trial_names_mail_verifies(gateway: Gateway, resolver: LocalResolver, authority: Authority) -> None:
    message_id = gateway.send(plain_message(gateway.address))
    assert verifies(resolver, split_capture(gateway.captured(message_id))[1])
    shard = gateway.state["shard"]
    assert "v=spf1" in authority.ask(shard, "TXT")[0]
    assert authority.ask(shard, "MX")


def test_no_message_is_unverifiable_while_keys_are_rotated(gateway: Gateway, resolver: LocalResolver) -> None:
    [old] = keys_of(gateway)["active"]
    sent: list[str] = []
    with gateway.smtp() as client:
        for number in range(60):
            message = plain_message(gateway.address, subject=f"number {number}")
            sent.append(submit(client, message, ("x@example.org",), gateway.address))
            if number == 10:
                gateway.cli("dkim-key", "rotate", gateway.state["domain"])
            if number > 20 and number % 5 == 0:
                wait_until(lambda: "pending" not in keys_of(gateway), what="the new key being used")
    left = [split_capture(gateway.captured(message_id))[1] for message_id in sent]
    assert all(verifies(resolver, message) for message in left)
    selectors = {message.partition(b"; s=")[2].partition(b";")[0].decode() for message in left}
    [new] = keys_of(gateway)["active"]
    assert selectors == {old["selector"], new["selector"]}


def test_queued_mail_is_signed_again_when_its_key_is_revoked(
    gateway: Gateway, resolver: LocalResolver, authority: Authority
) -> None:
    shard = gateway.state["shard"]
    gateway.cli("shard", "pause", shard)
    gateway.obeyed()
    message_id = gateway.send(plain_message(gateway.address))
    [leaked] = keys_of(gateway)["active"]
    gateway.cli("dkim-key", "revoke", leaked["id"], "--yes")
    empty = ['"v=DKIM1; k=rsa; p="']
    wait_until(lambda: authority.ask(leaked["name"], "TXT") == empty, what="the revocation in DNS")
    wait_until(lambda: "active" in keys_of(gateway), what="a successor that is seen")
    gateway.cli("shard", "resume", shard)
    message = split_capture(gateway.captured(message_id, 60.0))[1]
    [new] = keys_of(gateway)["active"]
    assert f"s={new['selector']};".encode() in message
    assert verifies(resolver, message)


def test_what_a_person_changed_is_mended_on_demand(gateway: Gateway, authority: Authority) -> None:
    [key] = keys_of(gateway)["active"]
    authority.put(key["name"], "TXT", "v=DKIM1; p=forged")
    [planned] = gateway.cli("domain", "reconcile", "--dry-run")
    assert (planned["name"], planned["found"]) == (key["name"], ["v=DKIM1; p=forged"])
    gateway.cli("domain", "reconcile")
    assert "k=rsa; p=M" in authority.ask(key["name"], "TXT")[0]
    assert gateway.cli("domain", "reconcile") == []


def test_a_tenants_names_go_with_it(gateway: Gateway, authority: Authority) -> None:
    tenant = gateway.cli("tenant", "create", "Short Lived")
    [domain] = [
        one for one in gateway.cli("domain", "list", "--tenant", tenant["id"]) if one["kind"] == "trial"
    ]
    [key] = gateway.cli("dkim-key", "list", "--domain", domain["id"])
    wait_until(lambda: authority.ask(key["name"], "TXT"), what="the key in DNS")
    gateway.cli("tenant", "delete", tenant["id"], "--grace", "0s", "--yes")
    wait_until(lambda: not authority.ask(key["name"], "TXT"), 60.0, "the key being taken back")


def test_the_operators_records_are_a_valid_zone(
    gateway: Gateway, require_peer: RequirePeer, tmp_path: Path
) -> None:
    text = gateway.text("platform", "records", "--format", "bind")
    zone = tmp_path / "gatepost.test.zone"
    zone.write_text(
        "@ 60 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n" + text
    )
    checker = require_peer("named-checkzone")
    found = subprocess.run(
        [str(checker), "-i", "local", "-k", "ignore", ZONE, str(zone)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr + text
