"""Changes of the control plane as events."""

from __future__ import annotations

from gateway.control.events.audited import AuditedEvents
from gateway.control.events.feed import Feed
from gateway.control.events.types import Event, EventType
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from tests.support.control import OPERATOR, limited


def _feed(services: ControlServices) -> Feed:
    return Feed([AuditedEvents(services.writes.database)], services.writes.clock)


def _after(services: ControlServices, cursor: str, actor: Actor = OPERATOR) -> list[Event]:
    return list(_feed(services).read(actor, cursor, limit=1000).events)


def test_the_life_of_an_account_is_told_in_order(control_services: ControlServices) -> None:
    tenant = control_services.tenants.create(OPERATOR, "acme")
    control_services.workspaces.create(OPERATOR, "other", tenant="acme")
    cursor = _feed(control_services).head()
    address = f"joe@{tenant.domains[0]}"
    account = control_services.accounts.create(
        OPERATOR, address, tenant="acme", smtp=True, client_id="c-1", metadata={"a": "b"}
    )
    control_services.accounts.update(OPERATOR, address, workspace="other")
    control_services.accounts.suspend(OPERATOR, address)
    control_services.accounts.resume(OPERATOR, address)
    control_services.accounts.update(OPERATOR, address, display_name="Joe")
    password, secret = control_services.credentials.create(OPERATOR, address)
    control_services.credentials.revoke(OPERATOR, password.id)
    events = _after(control_services, cursor)
    assert [event.type for event in events] == [
        EventType.ACCOUNT_CREATED,
        EventType.ACCOUNT_MOVED,
        EventType.ACCOUNT_SUSPENDED,
        EventType.ACCOUNT_RESUMED,
        EventType.ACCOUNT_UPDATED,
        EventType.ACCOUNT_PASSWORD_CREATED,
        EventType.ACCOUNT_PASSWORD_REVOKED,
    ]
    assert {event.subject for event in events} == {f"account/{account.id}"}
    assert {event.account_id for event in events} == {account.id}
    assert {event.tenant_id for event in events} == {tenant.id}
    assert (events[0].data["client_id"], events[0].data["metadata"]) == ("c-1", {"a": "b"})
    assert (events[0].workspace_id, events[0].environment) == (account.workspace_id, "production")
    assert str(secret) not in str(events)


def test_a_domain_tells_the_state_it_came_to(control_services: ControlServices) -> None:
    control_services.tenants.create(OPERATOR, "acme")
    cursor = _feed(control_services).head()
    control_services.domains.add(OPERATOR, "acme.example", tenant="acme")
    control_services.domains.mark_verified(OPERATOR, "acme.example", reason="seen")
    told = [event.type for event in _after(control_services, cursor)]
    assert told == [EventType.DOMAIN_CREATED, EventType.DOMAIN_ACTIVE]


def test_a_tenants_reader_sees_nothing_of_others(control_services: ControlServices) -> None:
    acme = control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "other")
    events = _feed(control_services).read(limited(acme.id)).events
    assert events
    assert {event.tenant_id for event in events} == {acme.id}


def test_a_reader_without_a_cursor_begins_fourteen_days_back(control_services: ControlServices) -> None:
    clock = control_services.writes.clock
    control_services.tenants.create(OPERATOR, "old")
    clock.advance(20 * 86_400)  # type: ignore[attr-defined]
    fresh = control_services.tenants.create(OPERATOR, "young")
    events = _feed(control_services).read(OPERATOR, limit=1000).events
    assert {event.tenant_id for event in events} == {fresh.id}
