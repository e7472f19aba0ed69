"""Accounts: addresses, aliases, switches, and the workspace they are in."""

from __future__ import annotations

import pytest

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Two tenants: acme with acme.test (production) and test.acme.test (staging), globex with globex.test."""
    control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "globex")
    control_services.domains.add(OPERATOR, "acme.test", tenant="acme")
    control_services.domains.add(OPERATOR, "staging-acme.test", tenant="acme", environment="staging")
    control_services.domains.add(OPERATOR, "globex.test", tenant="globex")
    return control_services


def test_protocols_are_off_unless_asked_for(services: ControlServices) -> None:
    account = services.accounts.create(OPERATOR, "Bob@Acme.Test", tenant="acme")
    assert (account.smtp, account.imap, account.status) == (False, False, "active")
    assert (account.address, account.workspace, account.assignment) == ("Bob@Acme.Test", "default", "auto")
    assert account.grant_id == account.id
    for reference in ("bob@acme.test", "BOB@ACME.TEST", account.grant_id, account.grant_id.upper()):
        assert services.accounts.show(OPERATOR, reference) == account
    on = services.accounts.update(OPERATOR, "bob@acme.test", smtp=True)
    assert (on.smtp, on.imap) == (True, False)
    assert services.accounts.update(OPERATOR, account.id, imap=True, smtp=False).smtp is False


def test_what_the_operator_suspended_only_the_operator_resumes(services: ControlServices) -> None:
    made = services.accounts.create(OPERATOR, "stopped@acme.test", tenant="acme")
    tenant = limited(made.tenant_id)
    services.accounts.suspend(OPERATOR, made.id, reason="spam")
    for attempt in (services.accounts.resume, services.accounts.suspend):
        with pytest.raises(Forbidden, match="operator has suspended"):
            attempt(tenant, made.id)
    assert services.accounts.show(OPERATOR, made.id).status_reason == "spam"
    assert services.accounts.resume(OPERATOR, made.id).status == "active"
    services.accounts.suspend(tenant, made.id)
    assert services.accounts.resume(tenant, made.id).status == "active"


def test_suspending_and_resuming(services: ControlServices) -> None:
    services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme", smtp=True)
    suspended = services.accounts.suspend(OPERATOR, "bob@acme.test")
    assert (suspended.status, suspended.smtp) == ("suspended", True)
    assert services.accounts.resume(OPERATOR, "bob@acme.test").status == "active"


def test_an_address_is_one_accounts(services: ControlServices) -> None:
    services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme", aliases=["sales@acme.test"])
    for taken in ("BOB@acme.test", "Sales@ACME.test"):
        with pytest.raises(Conflict, match="taken"):
            services.accounts.create(OPERATOR, taken, tenant="acme")
    assert services.accounts.show(OPERATOR, "sales@acme.test").address == "bob@acme.test"
    assert services.accounts.remove_alias(OPERATOR, "bob@acme.test", "SALES@acme.test").aliases == ()
    services.accounts.create(OPERATOR, "sales@acme.test", tenant="acme")
    with pytest.raises(NotFound):
        services.accounts.remove_alias(OPERATOR, "bob@acme.test", "sales@acme.test")
    with pytest.raises(NotFound):
        services.accounts.remove_alias(OPERATOR, "bob@acme.test", "bob@acme.test")


@pytest.mark.parametrize(
    "address", ["", "bob", "bob@", "a b@acme.test", "bob@[192.0.2.1]", "b\r\nob@acme.test"]
)
def test_what_is_no_address(services: ControlServices, address: str) -> None:
    with pytest.raises(Invalid):
        services.accounts.create(OPERATOR, address, tenant="acme")


def test_the_domain_must_be_the_tenants(services: ControlServices) -> None:
    with pytest.raises(NotFound) as foreign:
        services.accounts.create(OPERATOR, "bob@globex.test", tenant="acme")
    with pytest.raises(NotFound) as missing:
        services.accounts.create(OPERATOR, "bob@nobody.test", tenant="acme")
    assert str(foreign.value).replace("globex", "nobody") == str(missing.value)
    services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme")
    with pytest.raises(NotFound):
        services.accounts.add_alias(OPERATOR, "bob@acme.test", "bob@globex.test")


def test_environments_never_mix(services: ControlServices) -> None:
    tests = services.accounts.create(OPERATOR, "bob@staging-acme.test", tenant="acme")
    assert (tests.environment, tests.workspace) == ("staging", "staging")
    with pytest.raises(Conflict, match="never mix") as refusal:
        services.accounts.update(OPERATOR, tests.id, workspace="default")
    assert refusal.value.status == 409
    with pytest.raises(Conflict, match="never mix"):
        services.accounts.create(OPERATOR, "eve@acme.test", tenant="acme", workspace="staging")
    with pytest.raises(Conflict, match="never mix"):
        services.accounts.add_alias(OPERATOR, tests.id, "bob@acme.test")
    assert services.accounts.show(OPERATOR, tests.id) == tests


def test_the_most_specific_pattern_assigns(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "de.eu.acme.test", tenant="acme")
    services.workspaces.create(OPERATOR, "wide", patterns=["*.test"])
    services.workspaces.create(OPERATOR, "narrow", patterns=["*.eu.acme.test"], location="eu")
    services.workspaces.create(OPERATOR, "exact-of-globex", tenant="globex", patterns=["de.eu.acme.test"])
    account = services.accounts.create(OPERATOR, "hans@de.eu.acme.test", tenant="acme")
    assert (account.workspace, account.assignment, account.home_location) == ("narrow", "auto", "eu")
    services.workspaces.create(OPERATOR, "own", tenant="acme", patterns=["*.eu.acme.test"])
    assert services.accounts.create(OPERATOR, "eva@de.eu.acme.test", tenant="acme").workspace == "own"
    assert services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme").workspace == "wide"


def test_a_tenants_default_comes_before_the_platforms(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "home", tenant="acme", default=True)
    assert services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme").workspace == "home"
    assert services.accounts.create(OPERATOR, "bob@globex.test", tenant="globex").workspace == "default"


def test_moving_between_workspaces(services: ControlServices) -> None:
    services.workspaces.create(OPERATOR, "eu", location="eu")
    account = services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme")
    moved = services.accounts.update(OPERATOR, account.id, workspace="eu")
    assert (moved.workspace, moved.assignment, moved.home_location) == ("eu", "explicit", "default")
    back = services.accounts.update(OPERATOR, account.id, auto=True)
    assert (back.workspace, back.assignment) == ("default", "auto")


def test_another_tenants_workspace_is_as_if_not_there(services: ControlServices) -> None:
    foreign = services.workspaces.create(OPERATOR, "secret", tenant="globex")
    account = services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme")
    for reference in ("secret", foreign.id):
        with pytest.raises(NotFound):
            services.accounts.update(OPERATOR, account.id, workspace=reference)
        with pytest.raises(NotFound):
            services.accounts.create(OPERATOR, "eve@acme.test", tenant="acme", workspace=reference)


def test_a_limited_caller_finds_only_its_own(services: ControlServices) -> None:
    acme, globex = services.tenants.show(OPERATOR, "acme"), services.tenants.show(OPERATOR, "globex")
    services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme")
    foreign = services.accounts.create(OPERATOR, "bob@globex.test", tenant="globex")
    caller = limited(acme.id)
    assert [one.address for one in services.accounts.list(caller)] == ["bob@acme.test"]
    for call in (
        lambda: services.accounts.show(caller, "bob@globex.test"),
        lambda: services.accounts.update(caller, foreign.id, smtp=True),
        lambda: services.accounts.add_alias(caller, foreign.id, "x@globex.test"),
        lambda: services.accounts.create(caller, "x@globex.test", tenant=globex.id),
        lambda: services.accounts.list(caller, tenant="globex"),
    ):
        with pytest.raises(NotFound):
            call()
    assert services.accounts.show(OPERATOR, foreign.id) == foreign


def test_lists_go_on_after_an_id(services: ControlServices) -> None:
    made = [services.accounts.create(OPERATOR, f"u{n}@acme.test", tenant="acme").id for n in range(5)]
    first = services.accounts.list(OPERATOR, tenant="acme", limit=3)
    rest = services.accounts.list(OPERATOR, tenant="acme", after=first[-1].id)
    assert sorted(made) == [one.id for one in (*first, *rest)]
