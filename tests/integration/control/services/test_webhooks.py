"""Webhooks: whose they are, what they want, their secrets, and what the audit keeps of it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from sqlalchemy import text

from gateway.control.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.control.paging import PageQuery
from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.control.webhooks.records import WebhookBook, WebhookRecord
from tests.support.control import MASTER_KEY, OPERATOR, MakeServices, limited

URL = "https://hooks.acme.test/in"


@pytest.fixture
def services(control_services: ControlServices) -> ControlServices:
    control_services.tenants.create(OPERATOR, "acme")
    control_services.tenants.create(OPERATOR, "other")
    return control_services


def caller(services: ControlServices, tenant: str) -> Actor:
    return limited(services.tenants.show(OPERATOR, tenant).id)


def record_of(services: ControlServices, webhook_id: str) -> WebhookRecord:
    return WebhookBook(services.writes.database).refresh()[webhook_id]


def octets(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def test_the_secret_is_shown_once_and_sealed(services: ControlServices) -> None:
    view, secret = services.webhooks.create(OPERATOR, url=URL, tenant="acme", events=["message.*"])
    assert secret.startswith("whsec_") and len(octets(secret)) == 32
    assert (view.state, view.events, view.name) == ("active", ("message.*",), URL)
    record = record_of(services, view.id)
    assert record.open_secrets(MASTER_KEY.sealer("webhook"), 0.0) == (octets(secret),)
    assert secret not in repr(services.webhooks.show(OPERATOR, view.id)) + repr(record)
    with services.writes.view() as session:
        [sealed] = session.execute(text("SELECT sealed FROM webhook_secrets")).scalars()
    assert octets(secret) not in bytes(sealed)


def test_the_audit_has_every_change_and_no_secret(services: ControlServices) -> None:
    view, first = services.webhooks.create(OPERATOR, url=URL, tenant="acme")
    _, second = services.webhooks.rotate_secret(OPERATOR, view.id)
    services.webhooks.update(OPERATOR, view.id, description="ours")
    services.webhooks.pause(OPERATOR, view.id, reason="moving")
    services.webhooks.resume(OPERATOR, view.id)
    assert services.webhooks.disable(view.id, "the receiver answered 410")
    assert not services.webhooks.disable(view.id, "again")
    services.webhooks.delete(OPERATOR, view.id)
    entries = services.audit.list(OPERATOR, resource_id=view.id)
    assert [entry.operation for entry in reversed(entries)] == [
        "webhook.create",
        "webhook.rotate-secret",
        "webhook.update",
        "webhook.pause",
        "webhook.resume",
        "webhook.disable",
        "webhook.delete",
    ]
    assert (entries[1].actor_kind, entries[1].actor_id) == ("system", "webhooks")
    assert first[6:] not in repr(entries) and second[6:] not in repr(entries)
    assert services.audit.verify().whole


def test_rotation_overlaps(services: ControlServices) -> None:
    view, first = services.webhooks.create(OPERATOR, url=URL, tenant="acme")
    rotated, second = services.webhooks.rotate_secret(OPERATOR, view.id)
    record, sealer = record_of(services, view.id), MASTER_KEY.sealer("webhook")
    assert rotated.old_secret_until is not None
    assert rotated.old_secret_until - rotated.updated_at == pytest.approx(86_400, abs=1)
    assert record.open_secrets(sealer, rotated.updated_at) == (octets(second), octets(first))
    assert record.open_secrets(sealer, rotated.old_secret_until + 1) == (octets(second),)


def test_secrets_do_not_pile_up(services: ControlServices) -> None:
    view, _ = services.webhooks.create(OPERATOR, url=URL)
    for _ in range(4):
        services.webhooks.rotate_secret(OPERATOR, view.id)
    with pytest.raises(Conflict, match="sign already"):
        services.webhooks.rotate_secret(OPERATOR, view.id)


def test_ended_secrets_are_removed(services: ControlServices) -> None:
    view, _ = services.webhooks.create(OPERATOR, url=URL)
    for _ in range(8):
        services.webhooks.rotate_secret(OPERATOR, view.id, overlap_seconds=0.0)
    assert len(record_of(services, view.id).secrets) == 2


def test_deleting_takes_the_secrets_too(services: ControlServices) -> None:
    view, _ = services.webhooks.create(OPERATOR, url=URL)
    services.webhooks.delete(OPERATOR, view.id)
    with services.writes.view() as session:
        assert session.execute(text("SELECT count(*) FROM webhook_secrets")).scalar_one() == 0
    assert view.id not in WebhookBook(services.writes.database).refresh()


def test_a_tenant_sees_its_own_only(services: ControlServices) -> None:
    mine, _ = services.webhooks.create(caller(services, "acme"), url=URL)
    platforms, _ = services.webhooks.create(OPERATOR, url=URL)
    assert mine.tenant_id == services.tenants.show(OPERATOR, "acme").id and platforms.tenant_id is None
    assert services.webhooks.list(caller(services, "acme")) == (mine,)
    assert len(services.webhooks.list(OPERATOR)) == 2
    assert services.webhooks.list(OPERATOR, tenant="other") == ()
    stranger = caller(services, "other")
    calls: list[Callable[[str], object]] = [
        lambda ref: services.webhooks.show(stranger, ref),
        lambda ref: services.webhooks.update(stranger, ref, description="x"),
        lambda ref: services.webhooks.rotate_secret(stranger, ref),
        lambda ref: services.webhooks.pause(stranger, ref),
        lambda ref: services.webhooks.resume(stranger, ref),
        lambda ref: services.webhooks.delete(stranger, ref),
    ]
    for call in calls:
        for reference in (mine.id, platforms.id, URL):
            with pytest.raises(NotFound):
                call(reference)
    with pytest.raises(NotFound):
        services.webhooks.create(stranger, url=URL, tenant="acme")


def test_a_caller_limited_to_an_environment_gets_its_events_alone(services: ControlServices) -> None:
    acme = services.tenants.show(OPERATOR, "acme").id
    stager = Actor(kind="api", id="key-2", tenant_id=acme, environment="staging")
    wide, _ = services.webhooks.create(OPERATOR, url=URL, tenant="acme")
    mine, _ = services.webhooks.create(stager, url=URL)
    assert mine.environment == "staging"
    assert services.webhooks.update(stager, mine.id, environment="").environment == "staging"
    assert services.webhooks.list(stager) == (services.webhooks.show(OPERATOR, mine.id),)
    with pytest.raises(NotFound):
        services.webhooks.pause(stager, wide.id)
    with pytest.raises(Forbidden):
        services.webhooks.create(stager, url=URL, environment="production")
    clerk = Actor(kind="api", id="key-3", tenant_id=acme, workspace_id="w1")
    with pytest.raises(Forbidden):
        services.webhooks.create(clerk, url=URL)


def test_a_workspace_filter_names_one_that_the_owner_can_use(services: ControlServices) -> None:
    own = services.workspaces.create(OPERATOR, "sales", tenant="acme")
    view, _ = services.webhooks.create(OPERATOR, url=URL, tenant="acme", workspace="sales")
    assert view.workspace_id == own.id
    with pytest.raises(NotFound):
        services.webhooks.create(OPERATOR, url=URL, tenant="other", workspace=own.id)
    shared, _ = services.webhooks.create(OPERATOR, url=URL, tenant="other", workspace="default")
    assert services.webhooks.update(OPERATOR, shared.id, workspace="").workspace_id is None


@pytest.mark.parametrize(
    "url", ["http://hooks.acme.test/", "https://127.0.0.1/", "https://u:p@acme.test/", "x"]
)
def test_urls_that_are_refused(services: ControlServices, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.webhooks.create(OPERATOR, url=url)
    assert caught.value.code == "bad-webhook-url"


@pytest.mark.parametrize(
    "filter_text", ["", "message.", "*.x", "Message.Sent", "a b", "message*", "message.sent", "fish.*"]
)
def test_filters_that_are_refused(services: ControlServices, filter_text: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.webhooks.create(OPERATOR, url=URL, events=[filter_text])
    assert caught.value.code == "bad-event-filter"


def test_a_client_id_is_one_webhooks(services: ControlServices) -> None:
    services.webhooks.create(OPERATOR, url=URL, tenant="acme", client_id="mine")
    with pytest.raises(Conflict):
        services.webhooks.create(OPERATOR, url=URL, tenant="acme", client_id="mine")
    services.webhooks.create(OPERATOR, url=URL, tenant="other", client_id="mine")
    platforms, _ = services.webhooks.create(OPERATOR, url=URL, client_id="mine")
    with pytest.raises(Conflict):
        services.webhooks.create(OPERATOR, url=URL, client_id="mine")
    assert services.webhooks.update(OPERATOR, platforms.id, client_id="").client_id is None


def test_pages_are_filtered_and_each_is_its_callers(services: ControlServices) -> None:
    made = [
        services.webhooks.create(OPERATOR, url=f"{URL}/{n}", tenant="acme", metadata={"n": str(n)})[0]
        for n in range(3)
    ]
    services.webhooks.pause(OPERATOR, made[1].id)
    first = services.webhooks.page(caller(services, "acme"), PageQuery(limit=2))
    rest = services.webhooks.page(caller(services, "acme"), PageQuery(limit=2, cursor=first.cursor))
    assert [one.id for one in (*first.items, *rest.items)] == [one.id for one in made]
    assert services.webhooks.page(caller(services, "other"), PageQuery()).items == ()
    for filters in ({"state": "paused"}, {"metadata.n": "1"}, {"url": f"{URL}/1", "tenant": "acme"}):
        found = services.webhooks.page(OPERATOR, PageQuery(filters=filters)).items
        assert [one.id for one in found] == [made[1].id]


def test_there_is_an_end_to_them(services: ControlServices) -> None:
    for _ in range(50):
        services.webhooks.create(OPERATOR, url=URL, tenant="acme")
    with pytest.raises(Conflict, match="already"):
        services.webhooks.create(OPERATOR, url=URL, tenant="acme")
    services.webhooks.create(OPERATOR, url=URL, tenant="other")


def test_the_book_follows_every_process(
    services: ControlServices, control_url: str, make_services: MakeServices
) -> None:
    book = WebhookBook(services.writes.database)
    assert book.refresh() == {}
    view, _ = make_services(control_url).webhooks.create(OPERATOR, url=URL)
    assert list(book.refresh()) == [view.id]
    services.webhooks.pause(OPERATOR, view.id)
    assert book.refresh()[view.id].state == "paused"
