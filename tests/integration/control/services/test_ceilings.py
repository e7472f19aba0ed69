"""How many lasting things a tenant's callers make: the next is refused, the operator's is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.control import ceilings
from gateway.control.errors import Conflict
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.system.clock import ManualClock
from tests.support.control import OPERATOR, limited

Make = Callable[[ControlServices, Actor, int], object]

MAKERS: dict[str, tuple[str, str, Make]] = {
    "workspace": (
        "workspaces.service",
        "WORKSPACES",
        lambda services, actor, n: services.workspaces.create(actor, f"w{n}", tenant="acme", policy="free"),
    ),
    "shard": (
        "shards.service",
        "SHARDS",
        lambda services, actor, n: services.shards.create(actor, f"x{n}.acme.example", tenant="acme"),
    ),
    "list": (
        "lists.service",
        "LISTS",
        lambda services, actor, n: services.lists.create(actor, f"l{n}", "domain", tenant="acme"),
    ),
    "item": (
        "lists.service",
        "LIST_ITEMS",
        lambda services, actor, n: services.lists.add_items(actor, "known", [f"n{n}.example"]),
    ),
    "api-key": (
        "apikeys.service",
        "API_KEYS",
        lambda services, actor, n: services.api_keys.create(actor, f"k{n}", tenant="acme"),
    ),
    "dkim-key": (
        "keys.find",
        "DOMAIN_KEYS",
        lambda services, actor, n: services.keys.create(actor, "acme.example"),
    ),
}


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """A tenant with a domain and a list."""
    control_services.tenants.create(OPERATOR, "acme")
    control_services.domains.add(OPERATOR, "acme.example", tenant="acme")
    control_services.lists.create(OPERATOR, "known", "domain", tenant="acme")
    return control_services


@pytest.mark.parametrize("kind", MAKERS)
def test_a_tenants_caller_makes_so_many_and_the_operator_more(
    services: ControlServices, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    module, name, make = MAKERS[kind]
    few = replace(getattr(ceilings, name), most=3)
    monkeypatch.setattr(f"gateway.control.{module}.{name}", few)
    theirs = limited(services.tenants.show(OPERATOR, "acme").id)
    made = 0
    with pytest.raises(Conflict, match=f"{few.things}, and 3 is the most") as refused:
        for made in range(5):
            make(services, theirs, made)
    assert refused.value.code == "too-many"
    assert 1 <= made <= 3
    make(services, OPERATOR, 7)


def test_keys_that_ended_leave_room_for_the_next(
    services: ControlServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.control.apikeys.service.API_KEYS", replace(ceilings.API_KEYS, most=1))
    theirs = limited(services.tenants.show(OPERATOR, "acme").id)
    clock = services.writes.clock
    assert isinstance(clock, ManualClock)
    services.api_keys.create(theirs, "an hour's", expires_at=clock.now() + 3_600)
    with pytest.raises(Conflict, match="API keys"):
        services.api_keys.create(theirs, "next", expires_at=clock.now() + 3_600)
    clock.advance(3_601)
    assert services.api_keys.create(theirs, "next")[0].name == "next"


def test_a_leaked_key_is_revoked_however_many_there_are(
    services: ControlServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.control.keys.find.DOMAIN_KEYS", replace(ceilings.DOMAIN_KEYS, most=1))
    theirs = limited(services.tenants.show(OPERATOR, "acme").id)
    [key] = services.keys.list(theirs, domain="acme.example")
    with pytest.raises(Conflict, match="DKIM keys"):
        services.keys.rotate(theirs, "acme.example")
    assert services.keys.revoke(theirs, key.id).state == "revoked"
