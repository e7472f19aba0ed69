"""The trial zone without updates: one set of records, published once, for every trial name there will be."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import dkim
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.app.sending import open_sender, open_stores
from gateway.control.domains.platformrecords import platform_records
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.control.domains.publishing.unwatched import UnwatchedKeys
from gateway.control.errors import Conflict
from gateway.control.keys.lifecycle import KeyLifecycle
from gateway.control.keys.pool import pool_records
from gateway.control.keys.pooling import fill_pool
from gateway.control.records import Actor
from gateway.outgoing.composing import OutgoingMessage, SendOptions, read_address
from gateway.system.clock import ManualClock
from tests.support.control import OPERATOR, SETTINGS
from tests.support.installation import Sending, open_installation
from tests.support.nameservers import Authority, running_authority
from tests.support.peers import RequirePeer

DAY = 86_400.0
FIXED = replace(SETTINGS, trial_selectors=2)
TO = (read_address("Bob <bob@there.example>"),)


@pytest_asyncio.fixture
async def trial(control_url: str, location_url: str, tmp_path: Path) -> AsyncIterator[Sending]:
    """An installation with two keys under its trial zone, and a sender."""
    # The verifier's own clock cannot be moved: signatures are made now.
    clock = ManualClock(time.time())
    with ExitStack() as stack:
        made: Sending = open_installation(
            stack, tmp_path, control_url, location_url, Sending, settings=FIXED, clock=clock
        )
        fill_pool(made.services.writes, made.services.keys, made.services.settings)
        async with AsyncExitStack() as running:
            made.stores = await open_stores(made.ground, "test-1", running)
            made.sender = await open_sender(made.ground, made.directory, made.stores, running, wake=made.wake)
            yield made


def publish_once(trial: Sending, zones: Authority) -> None:
    """Put what `platform records` lists into the zone, as an operator would before the first tenant."""
    found: dict[tuple[str, str], list[str]] = {}
    with trial.services.writes.view() as session:
        for one in platform_records(session, trial.services.settings):
            value = one.value + "." if one.type in ("MX", "CNAME") else one.value
            found.setdefault((one.name, one.type), []).append(value)
    for (name, kind), values in found.items():
        if kind != "PTR":
            zones.put(name, kind, *values)


class NoQueue:
    """Stands for queues in which nothing waits."""

    def keys_in_use(self, key_ids: Iterable[str]) -> set[str]:
        return set()


async def send(trial: Sending, tenant: str) -> bytes:
    """A message of a tenant's trial name, as it leaves."""
    address = f"app@{tenant}.trial.gatepost.test"
    account = trial.services.accounts.create(OPERATOR, address, tenant=tenant)
    trial.directory.refresh()
    message = OutgoingMessage(to=TO, subject="hello", text="Hello Bob.")
    sent = await trial.sender.send(Actor("api", "key-1"), account.id, message, SendOptions())
    content = await trial.stores["default"].load(sent.id)
    return content.signatures.header + content.content


async def test_a_trial_names_message_verifies_through_the_static_zone(
    trial: Sending, require_peer: RequirePeer
) -> None:
    with running_authority(require_peer, "gatepost.test") as zones:
        publish_once(trial, zones)
        texts: list[str] = []

        def txt(name: bytes, timeout: int = 5) -> bytes:
            texts.append(name.decode().rstrip("."))
            found = zones.ask(texts[-1], "TXT")
            return "".join(part.strip('"') for part in " ".join(found).split('" "')).encode()

        # Nothing is published between these: the tenants did not exist when the zone was made.
        for tenant in ("acme", "globex"):
            trial.services.tenants.create(OPERATOR, tenant)
            assert dkim.verify(await send(trial, tenant), dnsfunc=txt)
        assert len(set(texts)) == 2
        assert all(name.endswith("._domainkey.trial.gatepost.test") for name in texts)
        for name in ("acme.trial.gatepost.test", "mail.globex.trial.gatepost.test"):
            assert zones.ask(name, "MX") == ["10 mx.gatepost.test."]
            assert zones.ask(name, "TXT") == ['"v=spf1 a:mx.gatepost.test -all"']
        assert "psd=y" in zones.ask("_dmarc.trial.gatepost.test", "TXT")[0]


async def test_no_two_tenants_have_one_key_and_the_last_one_is_told(trial: Sending) -> None:
    services = trial.services
    keys = set()
    for tenant in ("acme", "globex"):
        made = services.tenants.create(OPERATOR, tenant)
        [key] = services.keys.list(OPERATOR, domain=f"{tenant}.trial.gatepost.test")
        assert (key.tenant_id, key.domain, key.state) == (made.id, "trial.gatepost.test", "active")
        keys.add(key.id)
    assert len(keys) == 2
    with pytest.raises(Conflict, match="belongs to a trial domain already") as refusal:
        services.tenants.create(OPERATOR, "third")
    assert "selectors" in refusal.value.fix
    assert [one.name for one in services.tenants.list(OPERATOR) if one.name == "third"] == []
    with pytest.raises(Conflict, match="published under"):
        services.keys.create(OPERATOR, "acme.trial.gatepost.test", algorithm="ed25519")


async def test_rotating_takes_the_next_published_key(trial: Sending) -> None:
    trial.services.tenants.create(OPERATOR, "acme")
    [new] = trial.services.keys.rotate(OPERATOR, "acme.trial.gatepost.test")
    states = [one.state for one in trial.services.keys.list(OPERATOR, domain="acme.trial.gatepost.test")]
    assert (states, new.state) == (["retiring", "active"], "active")
    assert await send(trial, "acme")


async def test_the_set_lasts_keys_are_never_followed_by_the_clock(trial: Sending) -> None:
    services = trial.services
    made = services.tenants.create(OPERATOR, "acme")
    services.shards.create(OPERATOR, "s9.acme.trial.gatepost.test", tenant=made.id, sign=True)
    with services.writes.view() as session:
        published = {one.name for one in platform_records(session, services.settings)}
    services.writes.clock.advance(360 * DAY)  # type: ignore[attr-defined]
    for settings in (FIXED, replace(FIXED, publishes=True)):
        life = KeyLifecycle(services.writes, services.keys, NoQueue(), settings, 90 * DAY)
        followed = {services.keys.show(OPERATOR, key_id).domain for key_id in life.run(OPERATOR).rotated}
        assert "trial.gatepost.test" not in followed
        assert fill_pool(services.writes, services.keys, services.settings) == 0
    [key] = services.keys.list(OPERATOR, domain="acme.trial.gatepost.test")
    assert key.state == "active"
    assert key.name in published


async def test_keys_that_dns_shows_are_handed_out_first_and_new_ones_wait_for_it(
    trial: Sending, require_peer: RequirePeer
) -> None:
    services = trial.services
    with services.writes.view() as session:
        first, second = pool_records(session, "trial.gatepost.test")
    with running_authority(require_peer, "gatepost.test") as zones:
        look = UnwatchedKeys(
            services.writes, services.keys, services.settings, ResolverLook([("127.0.0.1", zones.port)])
        )
        zones.put(second.name, "TXT", second.value)
        assert look.look() == 1
        services.tenants.create(OPERATOR, "acme")
        [key] = services.keys.list(OPERATOR, domain="acme.trial.gatepost.test")
        assert (key.name, key.state) == (second.name, "active")
        # Somebody can see them: one that is not there would sign what nobody can verify.
        with pytest.raises(Conflict, match="not seen in DNS yet") as refusal:
            services.tenants.create(OPERATOR, "globex")
        assert refusal.value.code == "trial-keys-unpublished"
        with pytest.raises(Conflict, match="not seen in DNS yet"):
            services.keys.rotate(OPERATOR, "acme.trial.gatepost.test")
        assert services.keys.show(OPERATOR, key.id).state == "active"
        zones.put(first.name, "TXT", first.value)
        assert look.look() == 1
        # What waits under the trial zone stays there, seen or not.
        states = [one.state for one in services.keys.list(OPERATOR) if one.domain == "trial.gatepost.test"]
        assert sorted(states) == ["active", "pending"]
        services.tenants.create(OPERATOR, "globex")
        assert look.look() == 0


async def test_a_revoked_fixed_key_is_followed_by_the_next(trial: Sending) -> None:
    services = trial.services
    services.tenants.create(OPERATOR, "acme")
    domain = "acme.trial.gatepost.test"
    for _ in range(2):
        [active] = [one for one in services.keys.list(OPERATOR, domain=domain) if one.state == "active"]
        services.keys.revoke(OPERATOR, active.id)
    assert [one.state for one in services.keys.list(OPERATOR, domain=domain)] == ["revoked", "revoked"]
    with pytest.raises(Conflict, match="belongs to a trial domain already"):
        services.keys.rotate(OPERATOR, domain)
    fill_pool(services.writes, services.keys, replace(FIXED, trial_selectors=3))
    [new] = services.keys.rotate(OPERATOR, domain)
    assert new.state == "active"


async def test_the_pool_is_filled_once(trial: Sending) -> None:
    services = trial.services
    assert fill_pool(services.writes, services.keys, services.settings) == 0
    more = replace(FIXED, trial_selectors=5)
    with capture_logs() as logs:
        assert fill_pool(services.writes, services.keys, more) == 3
    assert [(one["event"], one["made"]) for one in logs] == [("trial_keys_to_publish", 3)]
