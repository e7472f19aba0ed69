"""Limits raised for a time: by whom, how far, and when they end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.paging import PageQuery
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited

DAY = 86_400.0


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    """Acme (plan trial) with bob, whose policy allows 200 a day where the plan allows 100; globex with eve."""
    control_services.tenants.create(OPERATOR, "acme", plan="trial")
    control_services.tenants.create(OPERATOR, "globex", plan="standard")
    control_services.workspaces.create(OPERATOR, "free", policy="free")
    for tenant, name in (("acme", "bob"), ("globex", "eve")):
        control_services.domains.add(OPERATOR, f"{tenant}.test", tenant=tenant)
        control_services.accounts.create(OPERATOR, f"{name}@{tenant}.test", tenant=tenant, workspace="free")
    return control_services


def _later(services: ControlServices, seconds: float = DAY) -> float:
    return services.writes.clock.now() + seconds


def test_a_raise_has_a_target_an_end_and_a_reason(services: ControlServices) -> None:
    until = _later(services)
    made = services.raises.create(
        OPERATOR, "EVE@globex.test", {"daily": "500", "storage": "2 GiB"}, until=until, reason="launch day"
    )
    assert made.limits == {"messages_per_day": 500, "storage_bytes": 2 * 2**30}
    assert (made.account, made.name, made.state) == ("eve@globex.test", "eve@globex.test", "active")
    assert (made.until, made.reason, made.created_by) == (until, "launch day", "cli:tester")
    assert services.raises.show(OPERATOR, made.id) == made
    (entry,) = [one for one in services.audit.list(OPERATOR) if one.operation == "limit.raise"]
    assert (entry.resource_kind, entry.tenant_id) == ("raise", made.tenant_id)


def test_never_above_the_plan_and_never_no_raise(services: ControlServices) -> None:
    with pytest.raises(Conflict, match=r"above the plan's 100 \(plan trial\)") as above:
        services.raises.create(OPERATOR, "bob@acme.test", {"daily": 101}, until=_later(services), reason="x")
    assert above.value.code == "above-plan"
    with pytest.raises(Conflict) as same:
        services.raises.create(
            OPERATOR, "eve@globex.test", {"daily": 200}, until=_later(services), reason="x"
        )
    assert same.value.code == "no-raise"
    with pytest.raises(Conflict):
        services.raises.create(
            OPERATOR, "eve@globex.test", {"monthly": 10}, until=_later(services), reason="x"
        )
    assert services.raises.page(OPERATOR, PageQuery()).items == ()


@pytest.mark.parametrize(
    ("limits", "until", "reason"),
    [
        ({}, DAY, "x"),
        ({"weekly": 5}, DAY, "x"),
        ({"daily": "unlimited"}, DAY, "x"),
        ({"daily": "many"}, DAY, "x"),
        ({"daily": -1}, DAY, "x"),
        ({"daily": 500, "messages_per_day": 500}, DAY, "x"),
        ({"daily": 500}, -1.0, "x"),
        ({"daily": 500}, None, "x"),
        ({"daily": 500}, DAY, " "),
        ({"daily": 500}, DAY, "x" * 501),
    ],
)
def test_what_cannot_be_asked(
    services: ControlServices, limits: dict[str, int | str], until: float | None, reason: str
) -> None:
    end = None if until is None else _later(services, until)
    with pytest.raises(Invalid):
        services.raises.create(OPERATOR, "eve@globex.test", limits, until=end, reason=reason)


def test_raises_end_by_the_clock_or_by_a_person(services: ControlServices) -> None:
    short = services.raises.create(
        OPERATOR, "eve@globex.test", {"daily": 300}, until=_later(services, 0.5), reason="a moment"
    )
    long = services.raises.create(
        OPERATOR, "eve@globex.test", {"daily": 400}, until=_later(services), reason="a day"
    )
    services.writes.clock.advance(1.0)  # type: ignore[attr-defined]
    assert services.raises.show(OPERATOR, short.id).state == "ended"
    assert services.raises.revoke(OPERATOR, long.id).state == "revoked"
    assert services.raises.revoke(OPERATOR, long.id).state == "revoked"
    states = {"active": [], "ended": [short.id], "revoked": [long.id]}
    for state, ids in states.items():
        page = services.raises.page(
            OPERATOR, PageQuery(filters={"state": state, "account": "eve@globex.test"})
        )
        assert [one.id for one in page.items] == ids
    assert [one.operation for one in services.audit.list(OPERATOR)].count("limit.revoke") == 1


def test_a_tenant_sees_its_raises_and_makes_none(services: ControlServices) -> None:
    made = services.raises.create(
        OPERATOR, "eve@globex.test", {"daily": 300}, until=_later(services), reason="x"
    )
    globex, acme = limited(made.tenant_id), limited(services.tenants.show(OPERATOR, "acme").id)
    assert services.raises.show(globex, made.id) == made
    assert services.raises.page(acme, PageQuery()).items == ()
    calls: tuple[Callable[[], object], ...] = (
        lambda: services.raises.show(acme, made.id),
        lambda: services.raises.revoke(acme, made.id),
        lambda: services.raises.create(
            acme, "eve@globex.test", {"daily": 300}, until=_later(services), reason="x"
        ),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
    with pytest.raises(Forbidden):
        services.raises.create(globex, "eve@globex.test", {"daily": 300}, until=_later(services), reason="x")
    with pytest.raises(Forbidden):
        services.raises.revoke(globex, made.id)
