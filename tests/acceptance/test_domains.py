"""A customer's domain from the claim to its loss and back, through real name servers.

Knot has the zones, Unbound is the resolver that gateway and receiver ask, and everything that is said to
come by itself does: nobody calls for a look except to see a hint.
"""

from __future__ import annotations

import re
import smtplib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_first_message import split_capture
from tests.support.gateway import Gateway, plain_message, run_program, submit, wait_until
from tests.support.nameservers import CUSTOMER_ZONES, running_authority, running_resolver
from tests.support.peers import RequirePeer
from tests.support.zones import GRACE_SECONDS, PATIENCE_SECONDS, Row, Zones, served

WRONG_ANCHOR = f"acme.test. DS 4711 13 2 {'00' * 32}"
"""No key of acme.test is this one: whatever its servers answer is bogus to who trusts it."""

_SOA = "$TTL 60\n@ SOA ns1.acme.test. hostmaster.acme.test. 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n"


@pytest.fixture(scope="module")
def zones(require_peer: RequirePeer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    """A gateway that serves, over an authority whose customer's zone has DNSSEC, and a resolver."""
    with (
        running_authority(require_peer, *CUSTOMER_ZONES, signed=["acme.test"]) as authority,
        running_resolver(require_peer, dict.fromkeys(authority.zones, authority.port)) as resolver,
        served(tmp_path_factory.mktemp("domains"), authority, resolver) as running,
    ):
        yield running


@dataclass(frozen=True)
class Customer:
    """Somebody with an account at a domain of their own."""

    domain: str
    address: str
    login: str
    password: str

    def try_to_send(self, gateway: Gateway) -> str | None:
        """The id of a message in the name of the own address; None if it is refused."""
        try:
            with gateway.smtp(self.login, self.password) as client:
                return submit(client, plain_message(self.address), ("x@example.org",), self.address)
        except smtplib.SMTPResponseException:
            return None


def provision(zones: Zones, domain: str) -> Customer:
    """An account whose address waits for its domain."""
    tenant = {"name": zones.gateway.tenant_id}
    request = {
        "tenant": tenant,
        "account": {"local_part": f"bob-{domain.partition('.')[0]}"},
        "domain": domain,
    }
    made = zones.call("POST", "/provision", request | {"protocols": {"smtp": True}, "app_password": True})
    assert made["pending_address"].endswith(f"@{domain}")
    return Customer(domain, made["pending_address"], made["login"], made["app_password"])


@pytest.fixture(scope="module")
def customer(zones: Zones) -> Customer:
    """A customer whose domain has become active."""
    zones.add("shop.acme.test")
    made = provision(zones, "shop.acme.test")
    zones.publish(*zones.records(made.domain))
    zones.await_state(made.domain, "active")
    wait_until(lambda: made.try_to_send(zones.gateway), PATIENCE_SECONDS, "the first message")
    return made


def wire_of(gateway: Gateway, message_id: str) -> bytes:
    """A message as it left."""
    return split_capture(gateway.captured(message_id, PATIENCE_SECONDS))[1]


def test_a_domain_becomes_active_by_itself_as_its_records_come_one_by_one(
    zones: Zones, require_peer: RequirePeer, tmp_path: Path
) -> None:
    name = "news.acme.test"
    zones.add(name, "send-receive")
    bob = provision(zones, name)
    assert bob.try_to_send(zones.gateway) is None
    wait = ("--config", zones.gateway.config, "domain", "wait", name, "--timeout")
    early = run_program(*wait, "1s")
    assert (early.returncode, f"{name}: pending" in early.stderr) == (1, True), early
    command = [sys.executable, "-m", "gateway", *wait, "2min"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        for row in zones.records(name):
            zones.publish(row)
            wait_until(lambda row=row: _seen(zones.known(name), row), PATIENCE_SECONDS, f"sight of {row}")
        zones.await_state(name, "active")
        assert zones.story(name) == ["verifying", "active"]
        told = waiting.communicate(timeout=PATIENCE_SECONDS)[1]
    assert (waiting.returncode, told.strip().splitlines()[-1]) == (0, f"{name}: active")
    message_id = wait_until(lambda: bob.try_to_send(zones.gateway), PATIENCE_SECONDS, "the own address")
    wire = wire_of(zones.gateway, message_id)
    assert f"d={name}".encode() in wire
    assert zones.verdicts(wire) == [True]
    assert "dkim=pass" in opendkim_says(wire, zones, require_peer, tmp_path)


def _seen(check: Row, row: Row) -> bool:
    same = [one for one in check["records"] if (one["name"], one["type"]) == (row["name"], row["type"])]
    return [one["state"] for one in same] == ["valid"]


def opendkim_says(wire: bytes, zones: Zones, require_peer: RequirePeer, folder: Path) -> str:
    """What OpenDKIM says of a message, with keys from the very resolver."""
    message, resolver, config = folder / "left.eml", folder / "unbound.conf", folder / "opendkim.conf"
    message.write_bytes(wire)
    forward = f'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@{zones.resolver.port}\n'
    server = 'server:\n  do-not-query-localhost: no\n  module-config: "iterator"\n  local-zone: "test." nodefault\n'
    resolver.write_text(server + forward)
    config.write_text(f"Mode v\nSyslog no\nResolverConfiguration {resolver}\n")
    command = [str(require_peer("opendkim")), "-x", str(config), "-vv", "-t", str(message)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result.stdout + result.stderr


def test_keys_rotate_under_traffic_without_the_customer_and_every_message_verifies(
    zones: Zones, customer: Customer
) -> None:
    [old] = [selector for selector, state in zones.keys(customer.domain).items() if state == "active"]
    with Traffic(zones, customer) as traffic:
        traffic.await_messages(old, 5)
        [new] = [
            one["selector"]
            for one in zones.call("POST", "/dkim-keys/rotate", {"domain": customer.domain})["items"]
        ]
        traffic.await_messages(new, 5)
    assert zones.keys(customer.domain) == {old: "retiring", new: "active"}
    assert {selector for _, selector, _ in traffic.judged} == {old, new}
    assert all(verdicts == [True] for _, _, verdicts in traffic.judged)
    # What left before the rotation can be verified after it.
    assert all(zones.verdicts(wire) == [True] for wire, _, _ in traffic.judged)
    assert zones.state(customer.domain) == "active"


@dataclass
class Traffic:
    """A sender that never pauses, and a receiver that verifies each message as soon as it has left."""

    zones: Zones
    customer: Customer
    judged: list[tuple[bytes, str, list[bool]]] = field(default_factory=list)

    def __enter__(self) -> Traffic:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._error: Exception | None = None
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def await_messages(self, selector: str, count: int) -> None:
        """Wait until so many have left that are signed under a selector."""

        def enough() -> bool:
            assert self._error is None, self._error
            return sum(one == selector for _, one, _ in self.judged) >= count

        wait_until(enough, PATIENCE_SECONDS, f"{count} messages under {selector}")

    def _send(self) -> None:
        gateway, customer = self.zones.gateway, self.customer
        try:
            with gateway.smtp(customer.login, customer.password) as client:
                while not self._stop.is_set():
                    content = plain_message(customer.address)
                    wire = wire_of(gateway, submit(client, content, ("x@example.org",), customer.address))
                    [selector] = re.findall(rb"\bs=([a-z0-9]+);", wire.partition(b"\r\n\r\n")[0])
                    self.judged.append((wire, selector.decode(), self.zones.verdicts(wire)))
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            self._error = error


def test_a_lost_record_warns_then_degrades_after_its_grace_and_the_domain_recovers(
    zones: Zones, customer: Customer
) -> None:
    name = customer.domain
    alias = next(row for row in zones.records(name) if row["purpose"] == "dkim" and row["required"])
    before = len(zones.story(name))
    zones.withdraw(alias)
    zones.await_state(name, "degraded")
    (warned, at), (fell, then) = zones.timed_story(name)[before:]
    assert (warned, fell) == ("record_lost", "degraded")
    assert (then - at).total_seconds() >= GRACE_SECONDS - 1.0
    lost = next(one for one in zones.known(name)["records"] if one["name"] == alias["name"])
    assert (lost["state"], "have no such record" in lost["hint"]) == ("missing", True), lost
    assert customer.try_to_send(zones.gateway) is not None
    zones.publish(alias)
    zones.await_state(name, "active")
    assert zones.story(name)[before:] == ["record_lost", "degraded", "record_recovered", "active"]
    assert [one["after"] for one in zones.call("GET", f"/domains/{name}/history")["items"]].count(
        "degraded"
    ) == 1


def test_name_servers_that_are_away_take_no_domain_down(zones: Zones, customer: Customer) -> None:
    with _untouched(zones, customer):
        zones.authority.stop()
        try:
            _await_darkness(zones, customer, "")
        finally:
            zones.authority.start()


def test_answers_that_do_not_validate_take_no_domain_down(zones: Zones, customer: Customer) -> None:
    with _untouched(zones, customer):
        zones.resolver.stop()
        zones.resolver.trust(WRONG_ANCHOR)
        zones.resolver.start()
        try:
            _await_darkness(zones, customer, "SERVFAIL")
        finally:
            zones.resolver.stop()
            zones.resolver.trust()
            zones.resolver.start()


@contextmanager
def _untouched(zones: Zones, customer: Customer) -> Iterator[None]:
    """The domain goes through the block without any event, and all of it is seen again after it."""
    name = customer.domain
    before = zones.story(name)
    yield
    wait_until(lambda: _is_whole(zones.known(name)), PATIENCE_SECONDS, "sight of all records")
    assert (zones.state(name), zones.story(name)) == ("active", before)


def _await_darkness(zones: Zones, customer: Customer, word: str) -> None:
    """Wait for a look without an answer when any grace is over; mail goes on until then."""
    until = datetime.now(UTC) + timedelta(seconds=2 * GRACE_SECONDS)
    wait_until(lambda: _is_dark(zones.known(customer.domain), until, word), PATIENCE_SECONDS, "dark looks")
    assert zones.state(customer.domain) == "active"
    assert customer.try_to_send(zones.gateway) is not None


def _is_dark(check: Row, until: datetime, word: str) -> bool:
    known = [one for one in check["records"] if one["required"] and one["publisher"] == "customer"]
    dark = all(one["state"] == "unreachable" and word in one["hint"] for one in known)
    return dark and datetime.fromisoformat(check["looked_at"]) > until


def _is_whole(check: Row) -> bool:
    return all(one["state"] == "valid" for one in check["records"] if one["publisher"] == "customer")


def test_the_records_are_a_zone_file_that_bind_accepts(
    zones: Zones, customer: Customer, require_peer: RequirePeer, tmp_path: Path
) -> None:
    zone = tmp_path / "acme.test.zone"
    zone.write_text(_SOA + zones.gateway.text("domain", "records", customer.domain, "--format", "bind"))
    command = [str(require_peer("named-checkzone")), "acme.test", str(zone)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + zone.read_text()
