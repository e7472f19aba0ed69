"""Callers' own ids: one thing of a kind and an owner each; what others have is not told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.control.errors import Conflict, Forbidden, Invalid
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited

Make = Callable[[ControlServices, Actor, str, int], object]


def domain(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    return services.domains.add(actor, f"{tenant}-{number}.example", tenant=tenant, client_id="mine")


def shard(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    name = f"s{number}.{tenant}.example"
    return services.shards.create(actor, name, tenant=tenant, client_id="mine")


def workspace(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    return services.workspaces.create(actor, f"w{number}", tenant=tenant, policy="free", client_id="mine")


def a_list(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    return services.lists.create(actor, f"l{number}", "domain", tenant=tenant, client_id="mine")


def account(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    return services.accounts.create(actor, f"a{number}@{tenant}.example", tenant=tenant, client_id="mine")


def limit(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    until = services.writes.clock.now() + 3600.0
    limits = {"daily": 1_000}
    return services.raises.create(OPERATOR, tenant, limits, until=until, reason="x", client_id="mine")


def api_key(services: ControlServices, actor: Actor, tenant: str, number: int) -> object:
    return services.api_keys.create(actor, f"k{number}", tenant=tenant, client_id="mine")


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Two tenants, each with a domain."""
    for name in ("acme", "globex"):
        control_services.tenants.create(OPERATOR, name, client_id=f"crm-{name}")
        control_services.domains.add(OPERATOR, f"{name}.example", tenant=name)
    return control_services


@pytest.mark.parametrize("make", [domain, shard, workspace, a_list, account, limit, api_key])
def test_two_tenants_use_the_same_id_and_learn_nothing(services: ControlServices, make: Make) -> None:
    make(services, OPERATOR, "acme", 1)
    theirs = limited(services.tenants.show(OPERATOR, "globex").id)
    make(services, theirs, "globex", 1)
    with pytest.raises(Conflict) as taken:
        make(services, theirs, "globex", 2)
    assert taken.value.code == "client-id-taken"


def test_shared_things_have_ids_of_their_own(services: ControlServices) -> None:
    workspace(services, OPERATOR, "acme", 1)
    assert services.workspaces.create(OPERATOR, "shared", client_id="mine").client_id == "mine"
    with pytest.raises(Conflict, match="mine"):
        services.workspaces.create(OPERATOR, "shared too", client_id="mine")


@pytest.mark.parametrize("change", [{"name": "Acme"}, {"client_id": "crm-acme"}, {"plan": "enterprise"}])
@pytest.mark.parametrize("free", [False, True], ids=["taken", "free"])
def test_what_the_operator_knows_a_tenant_by_is_not_the_tenants_to_change(
    services: ControlServices, change: dict[str, str], free: bool
) -> None:
    theirs = limited(services.tenants.show(OPERATOR, "globex").id)
    asked = {key: "nobody's" if free and key != "plan" else value for key, value in change.items()}
    with pytest.raises(Forbidden) as refused:
        services.tenants.update(theirs, "globex", **asked)  # type: ignore[arg-type]
    assert refused.value.code == "operator-only"


def test_a_tenant_changes_whom_it_wants_written_to(services: ControlServices) -> None:
    theirs = limited(services.tenants.show(OPERATOR, "globex").id)
    changed = services.tenants.update(
        theirs, "globex", contacts=["ops@globex.example"], notices=False, metadata={"seat": "4"}
    )
    assert (changed.contacts, changed.notices, changed.metadata) == (
        ("ops@globex.example",),
        False,
        {"seat": "4"},
    )


def test_an_id_of_spaces_is_none(services: ControlServices) -> None:
    with pytest.raises(Invalid, match="client_id"):
        services.domains.update(OPERATOR, "acme.example", client_id=" \t ")
