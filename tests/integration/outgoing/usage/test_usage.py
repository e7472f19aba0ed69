"""Usage over real databases: equal to the quotas' counters, and only what a caller may see."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.control.records import Actor
from gateway.control.services import ControlServices
from gateway.control.tenants.service import TenantView
from gateway.control.workspaces.service import WorkspaceView
from gateway.mail.reply import Refusal
from gateway.outgoing.queue import NewMessage, OutcomeKind, QueueStore, tables
from gateway.outgoing.quota import Charge
from gateway.outgoing.usage import UsageService
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import (
    CONTENT,
    NOW,
    new_message,
    new_recipient,
    outcome,
    running_store,
)
from tests.support.control import OPERATOR, limited
from tests.support.databases import MakeUrl

MONTH = "2027-01"


@pytest.fixture
def locations(make_database_url: MakeUrl) -> Iterator[dict[str, Database]]:
    urls = {name: make_database_url(name, "location") for name in ("default", "eu")}
    databases = {name: Database.open(url, purpose=name) for name, url in urls.items()}
    yield databases
    for database in databases.values():
        database.close()


def _tenant(services: ControlServices, name: str) -> tuple[TenantView, WorkspaceView]:
    tenant = services.tenants.create(OPERATOR, name)
    return tenant, services.workspaces.create(OPERATOR, f"{name}-work", tenant=name)


def _message(tenant_id: str, workspace_id: str, recipients: int = 1, **changes: object) -> NewMessage:
    to = [new_recipient(f"r{n}@d{n}.example") for n in range(recipients)]
    return new_message(*to, tenant_id=tenant_id, workspace_id=workspace_id, **changes)


async def _deliver(store: QueueStore, message: NewMessage, kinds: list[OutcomeKind]) -> None:
    stored = await store.add(message, hand_over=True)
    pairs = zip(stored.deliveries, kinds, strict=True)
    await store.record([outcome(delivery, kind, next_attempt_at=NOW + 60) for delivery, kind in pairs])


async def test_usage_equals_the_quotas_counters(location_database: Database, tmp_path: Path) -> None:
    chance = random.Random(7)
    delivered = 0
    async with running_store(location_database, tmp_path) as store:
        for _ in range(120):
            place = (f"t{chance.randrange(3)}", f"w{chance.randrange(2)}")
            count = chance.randint(1, 4)
            charges = tuple(
                Charge("tenant", "/".join(place), metric, window, limit, amount, "plan free")  # type: ignore[arg-type]
                for metric, window, limit, amount in (
                    ("messages", "month", 15, 1),
                    ("recipients", "day", 10_000, count),
                )
            )
            kinds = [chance.choice((OutcomeKind.DELIVERED, OutcomeKind.BOUNCED)) for _ in range(count)]
            try:
                await _deliver(store, _message(*place, count, charges=charges), kinds)
            except Refusal:
                continue
            delivered += kinds.count(OutcomeKind.DELIVERED)
    counter, usage = tables.quota_counter, tables.usage_count
    with location_database.read() as connection:
        quotas = {
            (row.scope_id, row.metric): row.value for row in connection.execute(sa.select(counter)).all()
        }
        used = {}
        for row in connection.execute(sa.select(usage)):
            used[f"{row.tenant_id}/{row.workspace_id}", "messages"] = row.accepted
            used[f"{row.tenant_id}/{row.workspace_id}", "recipients"] = row.recipients
        assert connection.scalar(sa.select(sa.func.sum(usage.c.delivered))) == delivered
    assert used == quotas
    assert max(value for (_, metric), value in used.items() if metric == "messages") == 15


async def test_outcomes_of_one_transaction_are_one_row(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        kinds = [OutcomeKind.DELIVERED, OutcomeKind.DELIVERED, OutcomeKind.DEFERRED]
        await _deliver(store, _message("t", "w", 3), kinds)
    with location_database.read() as connection:
        (row,) = connection.execute(sa.select(tables.usage_count)).all()
    assert (row.month, row.accepted, row.recipients, row.delivered) == (MONTH, 1, 3, 2)


async def test_the_gateways_own_mail_is_nobodys_use(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        for origin in ("dsn", "report", "system"):
            await _deliver(store, _message("t", "w", origin=origin), [OutcomeKind.DELIVERED])
    with location_database.read() as connection:
        assert connection.execute(sa.select(tables.usage_count)).all() == []


async def test_a_report_adds_the_locations_up_and_names_everything(
    control_services: ControlServices, locations: dict[str, Database], tmp_path: Path
) -> None:
    acme, work = _tenant(control_services, "acme")
    other, place = _tenant(control_services, "other")
    for name, database in locations.items():
        async with running_store(database, tmp_path / name) as store:
            await _deliver(store, _message(acme.id, work.id, 2), [OutcomeKind.DELIVERED] * 2)
            await store.add(_message(acme.id, work.id))
            await store.add(_message(other.id, place.id))
    usage = UsageService(control_services.writes, locations)
    control_services.writes.clock = ManualClock(NOW)
    rows = usage.report(OPERATOR, MONTH)
    assert [(row.tenant, row.workspace, row.plan) for row in rows] == [
        ("acme", "acme-work", "standard"),
        ("other", "other-work", "standard"),
    ]
    first = rows[0]
    assert (first.accepted, first.recipients, first.delivered) == (4, 6, 4)
    assert first.stored_bytes == 2 * len(CONTENT)
    assert usage.report(OPERATOR, "2026-12", ["plan"]) == ()
    assert usage.report(OPERATOR, MONTH, ["plan"])[0].accepted == 6


async def test_a_caller_sees_its_own_use_alone(
    control_services: ControlServices, locations: dict[str, Database], tmp_path: Path
) -> None:
    acme, work = _tenant(control_services, "acme")
    other, place = _tenant(control_services, "other")
    staging = control_services.workspaces.create(
        OPERATOR, "acme-staging", tenant="acme", environment="staging"
    )
    async with running_store(locations["default"], tmp_path) as store:
        for tenant_id, workspace_id in ((acme.id, work.id), (other.id, place.id), (acme.id, staging.id)):
            await store.add(_message(tenant_id, workspace_id))
        await store.add(_message("gone", "gone too"))
    usage = UsageService(control_services.writes, locations)

    def seen(actor: Actor) -> set[str | None]:
        return {row.workspace for row in usage.report(actor, MONTH)}

    assert seen(limited(acme.id)) == {"acme-work", "acme-staging"}
    assert seen(Actor("api", "k", tenant_id=acme.id, environment="staging")) == {"acme-staging"}
    assert seen(Actor("api", "k", workspace_id=place.id)) == {"other-work"}
    assert seen(OPERATOR) == {"acme-work", "acme-staging", "other-work", "gone too"}


async def test_each_month_is_counted_apart(location_database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        await store.add(_message("t", "w"))
        clock.advance(31 * 86_400)
        await store.add(_message("t", "w"))
    with location_database.read() as connection:
        rows = connection.execute(sa.select(tables.usage_count).order_by(tables.usage_count.c.month)).all()
    assert [(row.month, row.accepted) for row in rows] == [(MONTH, 1), ("2027-02", 1)]
