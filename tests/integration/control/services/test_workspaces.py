"""Workspaces: owners, defaults, patterns, the policies they may have."""

from __future__ import annotations

import pytest

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


def test_the_platform_has_a_default_in_each_environment(control_services: ControlServices) -> None:
    defaults = {
        (one.name, one.environment, one.policy): one.is_default
        for one in control_services.workspaces.list(OPERATOR)
    }
    assert defaults == {
        ("default", "production", "default"): True,
        ("staging", "staging", "staging"): True,
        ("development", "development", "development"): True,
    }


def test_a_workspace_is_shared_or_a_tenants(control_services: ControlServices) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    shared = control_services.workspaces.create(OPERATOR, "Partners", policy="standard", location="eu")
    own = control_services.workspaces.create(OPERATOR, "partners", tenant="acme", patterns=["*.Acme.Test"])
    assert (shared.tenant_id, shared.location, shared.environment) == (None, "eu", "production")
    assert (own.tenant_id, own.location, own.patterns) == (acme.id, "default", ("*.acme.test",))
    with pytest.raises(Conflict, match="Use the id"):
        control_services.workspaces.show(OPERATOR, "partners")
    assert control_services.workspaces.show(OPERATOR, own.id) == own
    assert {one.id for one in control_services.workspaces.list(OPERATOR, tenant="acme")} >= {
        shared.id,
        own.id,
    }
    with pytest.raises(Conflict, match="already"):
        control_services.workspaces.create(OPERATOR, "PARTNERS", tenant="acme")


def test_an_owner_has_one_default_an_environment(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    first = control_services.workspaces.create(OPERATOR, "first", tenant="acme", default=True)
    second = control_services.workspaces.create(OPERATOR, "second", tenant="acme")
    control_services.workspaces.create(
        OPERATOR, "tests", tenant="acme", environment="staging", policy="staging", default=True
    )
    control_services.workspaces.update(OPERATOR, second.id, default=True)
    assert not control_services.workspaces.show(OPERATOR, first.id).is_default
    assert control_services.workspaces.show(OPERATOR, "second").is_default
    assert control_services.workspaces.show(OPERATOR, "tests").is_default
    assert control_services.workspaces.show(OPERATOR, "default").is_default


def test_policies_must_exist_and_fit_the_plan(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "small", plan="trial")
    control_services.workspaces.create(OPERATOR, "main", tenant="small")
    with pytest.raises(NotFound, match="policy"):
        control_services.workspaces.update(OPERATOR, "main", policy="nothing")
    with pytest.raises(Conflict, match="plan trial"):
        control_services.workspaces.update(OPERATOR, "main", policy="bulk")
    with pytest.raises(Conflict, match="plan trial"):
        control_services.workspaces.create(OPERATOR, "other", tenant="small", policy="bulk")
    # In a shared one the smaller of the two holds instead.
    assert control_services.workspaces.create(OPERATOR, "mass", policy="bulk").policy == "bulk"


def test_patterns_belong_to_one_workspace(control_services: ControlServices) -> None:
    control_services.workspaces.create(OPERATOR, "one", patterns=["acme.test", "*.acme.test"])
    with pytest.raises(Conflict, match="has the pattern"):
        control_services.workspaces.create(OPERATOR, "two", patterns=["acme.test"])
    control_services.workspaces.update(OPERATOR, "one", patterns=["other.test"])
    assert control_services.workspaces.create(OPERATOR, "two", patterns=["acme.test"]).patterns == (
        "acme.test",
    )
    with pytest.raises(Invalid):
        control_services.workspaces.update(OPERATOR, "two", patterns=["*"])


@pytest.mark.parametrize(
    "option", [{"environment": "prod"}, {"location": "mars"}, {"metadata": {"k": "v" * 501}}]
)
def test_words_that_mean_nothing_here(control_services: ControlServices, option: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        control_services.workspaces.create(OPERATOR, "main", **option)  # type: ignore[arg-type]


def test_a_limited_caller_sees_shared_ones_and_its_own(control_services: ControlServices) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "globex")
    foreign = control_services.workspaces.create(OPERATOR, "secret", tenant="globex")
    caller = limited(acme.id)
    assert foreign.id not in {one.id for one in control_services.workspaces.list(caller)}
    with pytest.raises(NotFound):
        control_services.workspaces.show(caller, foreign.id)
    with pytest.raises(NotFound):
        control_services.workspaces.create(caller, "mine", tenant="globex")
    with pytest.raises(Forbidden):
        control_services.workspaces.update(caller, "default", policy="bulk")
    with pytest.raises(Forbidden):
        control_services.workspaces.create(caller, "shared")
