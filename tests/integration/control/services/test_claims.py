"""Claims that came to nothing: whoever proves a domain has all of its addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.control.accounts.service import AccountView
from gateway.control.errors import Conflict
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, SETTINGS, MakeServices, limited


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Two tenants that claim one name; the first has made accounts there."""
    for tenant in ("squatter", "owner"):
        control_services.tenants.create(OPERATOR, tenant)
        control_services.domains.add(OPERATOR, "acme.test", tenant=tenant)
    return control_services


def claim(services: ControlServices, tenant: str) -> str:
    [domain] = [one for one in services.domains.list(OPERATOR, tenant=tenant) if one.name == "acme.test"]
    return domain.id


def proved(services: ControlServices, tenant: str = "owner") -> None:
    services.domains.mark_verified(OPERATOR, claim(services, tenant), reason="shown")


def account(services: ControlServices, address: str, tenant: str = "squatter") -> AccountView:
    return services.accounts.create(OPERATOR, address, tenant=tenant, smtp=True)


def test_the_owner_gets_an_address_that_somebody_had_on_a_mere_claim(services: ControlServices) -> None:
    squat = account(services, "info@acme.test")
    proved(services)
    assert account(services, "info@acme.test", "owner").address == "info@acme.test"
    now = services.accounts.show(OPERATOR, squat.id)
    assert (now.address, now.status) == ("info@squatter.trial.gatepost.test", "active")
    [waiting] = services.domains.waiting(OPERATOR, claim(services, "squatter"))
    assert (waiting.grant_id, waiting.address) == (squat.id, "info@acme.test")
    assert waiting.reason == "another tenant has proved the domain"


def test_an_alias_is_taken_and_the_account_stays(services: ControlServices) -> None:
    own = "a@squatter.trial.gatepost.test"
    made = services.accounts.create(OPERATOR, own, tenant="squatter", aliases=["info@acme.test"])
    proved(services)
    now = services.accounts.show(OPERATOR, made.id)
    assert (now.address, list(now.aliases)) == (own, [])


def test_a_local_part_that_is_taken_at_the_trial_name_gives_way_to_the_id(services: ControlServices) -> None:
    account(services, "info@squatter.trial.gatepost.test")
    squat = account(services, "info@acme.test")
    proved(services)
    assert services.accounts.show(OPERATOR, squat.id).address == f"{squat.id}@squatter.trial.gatepost.test"


def test_where_nothing_is_the_tenants_own_the_account_is_suspended(services: ControlServices) -> None:
    services.domains.add(OPERATOR, "beta.test", tenant="squatter", environment="staging")
    services.domains.add(OPERATOR, "beta.test", tenant="owner")
    squat = account(services, "info@beta.test")
    [own] = [one for one in services.domains.list(OPERATOR, tenant="owner") if one.name == "beta.test"]
    services.domains.mark_verified(OPERATOR, own.id, reason="shown")
    now = services.accounts.show(OPERATOR, squat.id)
    assert (now.address, now.status) == (f"{squat.id}@beta.test", "suspended")
    assert account(services, "info@beta.test", "owner").address == "info@beta.test"


def test_no_more_addresses_are_made_on_a_name_that_another_has_proved(services: ControlServices) -> None:
    proved(services)
    with pytest.raises(Conflict) as refused:
        account(services, "new@acme.test")
    assert refused.value.code == "domain-held"


def test_each_account_that_lost_an_address_is_in_the_audit(services: ControlServices) -> None:
    squat = account(services, "info@acme.test")
    proved(services)
    entries = [one for one in services.audit.list(OPERATOR) if one.operation == "account.release"]
    assert [(one.resource_kind, one.resource_id) for one in entries] == [("account", squat.id)]


def test_the_addresses_of_the_one_who_proves_it_stay(services: ControlServices) -> None:
    own = account(services, "info@acme.test", "owner")
    proved(services)
    assert services.accounts.show(OPERATOR, own.id).address == "info@acme.test"


def test_a_tenant_has_so_many_claims_that_wait_and_no_more(
    control_url: str, make_services: MakeServices
) -> None:
    services = make_services(control_url, settings=replace(SETTINGS, claims=3))
    services.bootstrap()
    for tenant in ("acme", "globex"):
        services.tenants.create(OPERATOR, tenant)
    for number in range(3):
        services.domains.add(OPERATOR, f"a{number}.test", tenant="acme")
    caller = limited(services.tenants.show(OPERATOR, "acme").id)
    for actor in (OPERATOR, caller):
        with pytest.raises(Conflict) as refusal:
            services.domains.add(actor, "more.test", tenant="acme")
        assert (refusal.value.code, "3 domains" in refusal.value.detail) == ("too-many-claims", True)
        assert "domain list --tenant acme`" in refusal.value.fix
    services.domains.add(OPERATOR, "more.test", tenant="globex")
    services.domains.mark_verified(OPERATOR, "a0.test", "shown")
    services.domains.add(OPERATOR, "a3.test", tenant="acme")
    services.deletion.delete_domain(OPERATOR, "a1.test")
    assert services.domains.add(caller, "a4.test", tenant="acme").state == "pending"
