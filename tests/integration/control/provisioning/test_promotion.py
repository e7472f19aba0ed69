"""A domain becomes active: the grants that waited for it gain their address and keep all else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.control.credentials.authenticator import Authenticator
from gateway.control.credentials.guesses import GuessTable
from gateway.control.credentials.hashing import HashPool
from gateway.control.credentials.signin import Accepted
from gateway.control.directory import Directory
from gateway.control.errors import Conflict
from gateway.control.policies.store import read_policy_set
from gateway.control.records import Identity
from gateway.control.services import ControlServices
from gateway.system.clock import SystemClock
from gateway.system.database import Database
from gateway.system.dns import NoSuchName
from tests.integration.control.provisioning.requests import request
from tests.support.control import OPERATOR, MakeServices

OLD, NEW = "bob@acme.trial.gatepost.test", "bob@acme.example"


def test_the_address_is_gained_and_the_trial_one_stays(control_services: ControlServices) -> None:
    made = control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    before = control_services.accounts.show(OPERATOR, OLD)
    passwords = control_services.credentials.list(OPERATOR, OLD)
    control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    after = control_services.accounts.show(OPERATOR, made.grant_id)
    assert (after.id, after.address, after.aliases) == (before.id, NEW, (OLD,))
    assert (after.workspace, after.home_location, after.smtp) == (
        before.workspace,
        before.home_location,
        True,
    )
    assert control_services.accounts.show(OPERATOR, OLD) == control_services.accounts.show(OPERATOR, NEW)
    assert control_services.credentials.list(OPERATOR, NEW) == passwords
    assert control_services.domains.waiting(OPERATOR, "acme.example") == ()
    (entry, *_) = control_services.audit.list(OPERATOR, limit=1)
    assert (entry.operation, entry.resource_id) == ("account.promote", made.grant_id)


def test_proof_by_dns_promotes_in_the_same_transaction(control_url: str, make_services: MakeServices) -> None:
    zone: dict[str, list[str]] = {}

    def lookup(name: str) -> Sequence[str]:
        if name not in zone:
            raise NoSuchName(name)
        return zone[name]

    services = make_services(control_url, lookup=lookup)
    services.bootstrap()
    made = services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    assert services.domains.verify(OPERATOR, "acme.example").domain.state == "pending"
    assert services.accounts.show(OPERATOR, made.grant_id).address == OLD
    zone |= {record.name: [record.value] for record in made.domain.records if record.type == "TXT"}
    assert services.domains.verify(OPERATOR, "acme.example").domain.state == "active"
    assert services.accounts.show(OPERATOR, made.grant_id).address == NEW


def test_what_is_taken_waits_on_and_holds_up_nobody(control_services: ControlServices) -> None:
    provision = control_services.provisioning.provision
    provision(OPERATOR, request(domain="acme.example"))
    eve = provision(OPERATOR, request(local_part="eve", domain="acme.example"))
    control_services.accounts.create(OPERATOR, NEW, tenant="acme")
    domain = control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    assert domain.state == "active"
    assert control_services.accounts.show(OPERATOR, eve.grant_id).address == "eve@acme.example"
    (waiting,) = control_services.domains.waiting(OPERATOR, "acme.example")
    assert (waiting.address, waiting.reason) == (NEW, "another account has this address")
    operations = [entry.operation for entry in control_services.audit.list(OPERATOR, limit=2)]
    assert set(operations) == {"account.promote", "account.promote-refused"}

    again = control_services.domains.promote(OPERATOR, "acme.example")
    assert (again.promoted, again.waiting) == ((), (waiting,))
    other = control_services.accounts.show(OPERATOR, NEW)
    assert other.grant_id != waiting.grant_id


def test_by_hand_once_nothing_is_in_the_way(control_services: ControlServices) -> None:
    made = control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    control_services.domains.add(OPERATOR, "other.example", tenant="acme")
    control_services.accounts.create(OPERATOR, "x@other.example", tenant="acme")
    control_services.accounts.add_alias(OPERATOR, "x@other.example", NEW)
    with pytest.raises(Conflict, match="domain verify"):
        control_services.domains.promote(OPERATOR, "acme.example")
    control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    control_services.accounts.remove_alias(OPERATOR, "x@other.example", NEW)
    promotion = control_services.domains.promote(OPERATOR, "acme.example")
    assert [(one.grant_id, one.address) for one in promotion.promoted] == [(made.grant_id, NEW)]
    assert promotion.waiting == ()
    assert control_services.accounts.show(OPERATOR, NEW).grant_id == made.grant_id


def test_an_alias_that_is_there_becomes_the_address(control_services: ControlServices) -> None:
    made = control_services.provisioning.provision(OPERATOR, request(domain="acme.example"))
    control_services.accounts.add_alias(OPERATOR, OLD, NEW)
    control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    account = control_services.accounts.show(OPERATOR, made.grant_id)
    assert (account.address, account.aliases) == (NEW, (OLD,))


def test_patterns_are_asked_again_for_accounts_that_follow_them(control_services: ControlServices) -> None:
    provision = control_services.provisioning.provision
    auto = provision(OPERATOR, request(domain="acme.example"))
    fixed = provision(OPERATOR, request(local_part="eve", domain="acme.example", workspace="default"))
    control_services.workspaces.create(OPERATOR, "vip", patterns=["acme.example"])
    control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    assert control_services.accounts.show(OPERATOR, auto.grant_id).workspace == "vip"
    assert control_services.accounts.show(OPERATOR, fixed.grant_id).workspace == "default"


async def test_an_open_session_goes_on_and_both_names_log_in(
    control_services: ControlServices, control_url: str
) -> None:
    made = await asyncio.to_thread(
        control_services.provisioning.provision, OPERATOR, request(domain="acme.example")
    )
    assert made.app_password is not None
    clock, pool = SystemClock(), HashPool()
    guesses = GuessTable.create(clock, 1024)
    with Database.open(control_url, purpose="control") as database:
        directory = Directory(database, clock=clock, read_policies=read_policy_set)
        directory.start(asyncio.get_running_loop())
        door = Authenticator(
            directory,
            guesses,
            pool,
            tag_key=control_services.installation.durable_key("credential-tag"),
            clock=clock,
            sink=lambda _: None,
        )
        opened = await door.verify(OLD, made.app_password, protocol="smtp", address="192.0.2.1")
        assert isinstance(opened, Accepted)
        assert opened.identity.credential is not None
        await asyncio.to_thread(control_services.domains.mark_verified, OPERATOR, "acme.example", "by phone")
        await asyncio.to_thread(directory.refresh)
        now = await directory.identity(made.grant_id, opened.identity.credential.id, "smtp")
        assert isinstance(now, Identity)
        assert (now.account.address, now.account.aliases) == (NEW, (OLD,))
        for name in (OLD, NEW):
            found = await door.verify(name, made.app_password, protocol="smtp", address="192.0.2.1")
            assert isinstance(found, Accepted)
            assert found.identity.account.id == made.grant_id
        await asyncio.to_thread(directory.stop)
        door.close()
    pool.close()
    guesses.close()


def test_many_accounts_follow_one_domain(control_services: ControlServices) -> None:
    rows = [request(local_part=f"u{n}", domain="acme.example") for n in range(20)]
    made = control_services.provisioning.provision_batch(OPERATOR, rows)
    control_services.domains.mark_verified(OPERATOR, "acme.example", "told on the phone")
    grants = [row.result.grant_id for row in made if row.result is not None]
    assert len(grants) == 20
    for number, grant in enumerate(grants):
        assert control_services.accounts.show(OPERATOR, grant).address == f"u{number}@acme.example"
