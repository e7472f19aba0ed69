"""Tenants: what one command makes, names, plans, suspension."""

from __future__ import annotations

import pytest

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


def test_a_tenant_can_send_at_once(control_services: ControlServices) -> None:
    tenant = control_services.tenants.create(OPERATOR, "Acme & Söhne", contacts=["Ops@acme.test"])
    assert (tenant.slug, tenant.plan, tenant.status) == ("acme-sohne", "standard", "active")
    assert tenant.domains == ("acme-sohne.trial.gatepost.test",)
    assert tenant.shards == ("s1.mail.acme-sohne.trial.gatepost.test",)
    domain = control_services.domains.show(OPERATOR, tenant.domains[0])
    assert (domain.kind, domain.state, domain.environment) == ("trial", "active", "production")
    (key,) = control_services.keys.list(OPERATOR, domain=domain.name)
    assert (key.state, key.algorithm, key.bits) == ("active", "rsa-sha256", 2048)
    shard = control_services.shards.show(OPERATOR, tenant.shards[0])
    assert (shard.route, shard.environment, shard.domain) == ("mx", "production", domain.name)


def test_a_test_tenants_shard_captures(control_services: ControlServices) -> None:
    tenant = control_services.tenants.create(OPERATOR, "acme", environment="staging")
    assert tenant.domains == ("acme-staging.trial.gatepost.test",)
    assert control_services.shards.show(OPERATOR, tenant.shards[0]).route == "capture:"
    production = control_services.domains.add_trial(OPERATOR, tenant="acme")
    assert production.name == "acme.trial.gatepost.test"
    with pytest.raises(Conflict):
        control_services.domains.add_trial(OPERATOR, tenant="acme")


def test_names_and_ids_serve_everywhere(control_services: ControlServices) -> None:
    tenant = control_services.tenants.create(OPERATOR, "Acme")
    assert control_services.tenants.show(OPERATOR, "ACME") == tenant
    assert control_services.tenants.show(OPERATOR, tenant.id) == tenant
    with pytest.raises(NotFound, match="tenant list"):
        control_services.tenants.show(OPERATOR, "nobody")
    with pytest.raises(Conflict, match="already"):
        control_services.tenants.create(OPERATOR, "acme")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "0199d0a0-0000-7000-8000-000000000000"])
def test_names_that_cannot_be(control_services: ControlServices, name: str) -> None:
    with pytest.raises(Invalid):
        control_services.tenants.create(OPERATOR, name)


def test_slugs_never_meet(control_services: ControlServices) -> None:
    slugs = [
        control_services.tenants.create(OPERATOR, name).slug
        for name in ("a b", "a-b", "a_b", "platform!", "acme staging", "日本")
    ]
    assert slugs == ["a-b", "a-b-2", "a-b-3", "platform-2", "acme-staging-2", "tenant"]


def test_suspending_and_resuming(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    suspended = control_services.tenants.suspend(OPERATOR, "acme", reason="unpaid")
    assert (suspended.status, suspended.status_reason) == ("suspended", "unpaid")
    with pytest.raises(Conflict):
        control_services.tenants.suspend(OPERATOR, "acme")
    assert control_services.tenants.resume(OPERATOR, "acme").status == "active"
    with pytest.raises(Forbidden):
        control_services.tenants.suspend(OPERATOR, "platform")


def test_plans(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme", plan="free")
    assert control_services.tenants.update(OPERATOR, "acme", plan="enterprise").plan == "enterprise"
    with pytest.raises(NotFound):
        control_services.tenants.update(OPERATOR, "acme", plan="diamond")
    assert {plan.name for plan in control_services.plans.list(OPERATOR)} >= {"trial", "free", "standard"}


def test_a_plan_that_its_own_workspaces_exceed_is_refused(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    control_services.workspaces.create(OPERATOR, "main", tenant="acme", policy="bulk")
    with pytest.raises(Conflict, match="plan trial"):
        control_services.tenants.update(OPERATOR, "acme", plan="trial")
    assert control_services.tenants.show(OPERATOR, "acme").plan == "standard"


def test_another_tenant_is_as_if_not_there(control_services: ControlServices) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "globex")
    caller = limited(acme.id)
    assert [tenant.name for tenant in control_services.tenants.list(caller)] == ["acme"]
    with pytest.raises(NotFound) as foreign:
        control_services.tenants.show(caller, "globex")
    with pytest.raises(NotFound) as missing:
        control_services.tenants.show(caller, "nobody")
    assert str(foreign.value).replace("globex", "nobody") == str(missing.value)
    with pytest.raises(Forbidden):
        control_services.tenants.create(caller, "mine")
    with pytest.raises(Forbidden):
        control_services.tenants.update(caller, "acme", plan="enterprise")
