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


def test_what_does_not_fit_a_smaller_plan_is_listed_and_stays(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    control_services.domains.add(OPERATOR, "acme.test", tenant="acme")
    control_services.workspaces.create(OPERATOR, "main", tenant="acme", policy="bulk")
    control_services.accounts.create(OPERATOR, "bob@acme.test", tenant="acme", workspace="main")
    preview = control_services.tenants.preview_plan(OPERATOR, "acme", "trial")
    assert (preview.from_plan, preview.to_plan) == ("standard", "trial")
    assert {one.name for one in preview.no_longer_fits} == {"main"}
    assert "limits.recipients_per_message" in {one.key for one in preview.no_longer_fits}
    ((effect),) = preview.workspaces
    assert (effect.workspace, effect.accounts) == ("main", 1)
    bound = {one.key: one.after_source for one in effect.changes}
    assert bound["limits.tenant.messages_per_day"] == "plan trial"
    assert control_services.tenants.show(OPERATOR, "acme").no_longer_fits == ()

    changed = control_services.tenants.update(OPERATOR, "acme", plan="trial")
    assert (changed.plan, changed.no_longer_fits) == ("trial", preview.no_longer_fits)
    assert control_services.tenants.show(OPERATOR, "acme") == changed
    assert control_services.workspaces.show(OPERATOR, "main").policy == "bulk"
    back = control_services.tenants.update(OPERATOR, "acme", plan="standard")
    assert back.no_longer_fits == ()


def test_a_smaller_plan_stops_growth(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    control_services.workspaces.create(OPERATOR, "main", tenant="acme", policy="bulk")
    control_services.tenants.update(OPERATOR, "acme", plan="trial")
    control_services.workspaces.update(OPERATOR, "main", metadata={"still": "works"})
    with pytest.raises(Conflict, match="plan trial"):
        control_services.workspaces.create(OPERATOR, "more", tenant="acme", policy="bulk")
    with pytest.raises(Conflict, match="plan trial"):
        control_services.workspaces.update(OPERATOR, "main", policy="bulk")


def test_a_shard_on_an_address_of_another_plan_is_listed(control_services: ControlServices) -> None:
    control_services.sources.create(
        OPERATOR, helo="vip.gatepost.test", ipv4="192.0.2.9", plans=["standard"], pool="vip"
    )
    tenant = control_services.tenants.create(OPERATOR, "acme")
    ((misfit),) = control_services.tenants.update(OPERATOR, "acme", plan="free").no_longer_fits
    assert (misfit.kind, misfit.name, misfit.value) == ("shard", tenant.shards[0], "vip.gatepost.test")


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
