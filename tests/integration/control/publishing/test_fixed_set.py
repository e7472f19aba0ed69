"""The trial zone without updates: one set of records, published once, for every trial name there will be."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import dkim
import pytest
import pytest_asyncio

from gateway.app.sending import open_sender, open_stores
from gateway.control.domains.platformrecords import platform_records
from gateway.control.errors import Conflict
from gateway.control.keys.pooling import fill_pool
from gateway.control.records import Actor
from gateway.outgoing.composing import OutgoingMessage, SendOptions, read_address
from gateway.system.clock import ManualClock
from tests.support.control import OPERATOR, SETTINGS
from tests.support.installation import Sending, open_installation
from tests.support.nameservers import Authority, running_authority
from tests.support.peers import RequirePeer

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


async def test_the_pool_is_filled_once(trial: Sending) -> None:
    services = trial.services
    assert fill_pool(services.writes, services.keys, services.settings) == 0
    more = replace(FIXED, trial_selectors=5)
    assert fill_pool(services.writes, services.keys, more) == 3
