"""What is left of a tenant that is gone: nothing in the locations but its records, and these in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.app.deletion import forget_gone, purge_deleted
from gateway.app.maintenance import jobs
from gateway.outgoing import remains
from gateway.outgoing.notices.tables import notice
from gateway.outgoing.queue import OutcomeKind, tables
from gateway.outgoing.webhooks.tables import delivery
from gateway.system.database import Database
from gateway.system.database.errors import DatabaseAway
from tests.integration.outgoing.queue.parts import new_message, new_recipient, outcome
from tests.support.control import OPERATOR
from tests.support.installation import NOW, Installation, Sending

DAY = 86_400.0


def keep(database: Database, tenant_id: str, *, state: str = "delivered", rows: int = 1) -> None:
    """A notice that went to a tenant's contacts, and deliveries that tell of its mail."""
    told = {"tenant_id": tenant_id, "kind": "quota", "subject": f"{state} app@acme.example", "sent_at": NOW}
    row = {
        "webhook_id": "hook",
        "tenant_id": tenant_id,
        "event_id": "e",
        "event_type": "message.delivered",
        "event_at": NOW,
        "subject": "message/1",
        "body": '{"to": "someone@example.net"}',
        "state": state,
        "attempts": 1,
        "created_at": NOW,
    }
    with database.write() as connection:
        connection.execute(sa.insert(notice).values(told))
        connection.execute(sa.insert(delivery), [row] * rows)


def kept(installation: Installation, tenant_id: str | None = None) -> tuple[int, int]:
    """How many deliveries and notices there are of a tenant, or of all."""
    rows = installation.rows(delivery), installation.rows(notice)
    first, second = (sum(tenant_id in (None, row.tenant_id) for row in some) for some in rows)
    return first, second


def purged(installation: Installation) -> str:
    """The tenant acme, taken away for good; its id."""
    tenant = installation.services.tenants.show(OPERATOR, "acme")
    installation.services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=60)
    installation.clock.advance(61)
    assert purge_deleted(installation.ground).tenants == ("acme",)
    return tenant.id


def test_deliveries_and_notices_go_with_their_tenant_alone(installation: Installation) -> None:
    acme = installation.services.tenants.show(OPERATOR, "acme")
    globex = installation.services.tenants.create(OPERATOR, "globex")
    for tenant in (acme, globex):
        keep(installation.location, tenant.id, rows=3)
    with installation.location.write() as connection:
        connection.execute(sa.update(delivery).where(delivery.c.id == 6).values(tenant_id=None))
    assert forget_gone(installation.ground, "default") == 0
    purged(installation)
    assert kept(installation, acme.id) == (3, 1)
    assert forget_gone(installation.ground, "default") == 4
    assert kept(installation, acme.id) == (0, 0)
    assert kept(installation) == (3, 1)


def test_a_tenant_in_its_time_of_grace_is_not_gone(installation: Installation) -> None:
    acme = installation.services.tenants.show(OPERATOR, "acme")
    keep(installation.location, acme.id)
    installation.services.deletion.delete_tenant(OPERATOR, "acme", grace_seconds=60)
    assert forget_gone(installation.ground, "default") == 0
    assert kept(installation, acme.id) == (1, 1)


def test_what_the_operator_is_still_to_be_told_goes_once_it_was(installation: Installation) -> None:
    acme = installation.services.tenants.show(OPERATOR, "acme")
    keep(installation.location, acme.id, state="pending")
    purged(installation)
    forget_gone(installation.ground, "default")
    assert kept(installation, acme.id) == (1, 0)
    with installation.location.write() as connection:
        connection.execute(sa.update(delivery).values(state="delivered"))
    assert forget_gone(installation.ground, "default") == 1
    assert kept(installation) == (0, 0)


def test_a_location_that_was_away_forgets_nobody(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = installation.services.tenants.show(OPERATOR, "acme")
    keep(installation.location, acme.id, rows=2)
    purged(installation)

    def away(*_: Any) -> int:
        raise DatabaseAway("default is away")

    with monkeypatch.context() as patch:
        patch.setattr(remains, "_delete", away)
        with pytest.raises(DatabaseAway):
            forget_gone(installation.ground, "default")
    assert kept(installation, acme.id) == (2, 1)
    assert forget_gone(installation.ground, "default") == 3


def test_many_deliveries_go_in_small_transactions(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "_AT_ONCE", 2)
    keep(installation.location, "gone-1", rows=5)
    keep(installation.location, "gone-2", rows=1)
    assert forget_gone(installation.ground, "default") == 8


async def test_records_of_a_tenant_that_is_gone_stay_as_long_as_its_policy_said(sending: Sending) -> None:
    sending.services.workspaces.create(OPERATOR, "own", tenant="acme", policy="default")
    own = sending.services.workspaces.show(OPERATOR, "own")
    acme = sending.services.tenants.show(OPERATOR, "acme")
    sending.policy('extends = "default"\n[retention]\nrecords = "10d"\n', "brief")
    sending.policy('extends = "default"\n[retention]\nrecords = "120d"\n', "long")
    store = sending.stores["default"]
    for policy in ("brief", "long", "never-heard-of"):
        message = new_message(
            new_recipient(hand_over=True),
            clock=sending.clock,
            tenant_id=acme.id,
            workspace_id=own.id,
            policy_name=policy,
        )
        (sent,) = (await store.add(message)).deliveries
        await store.record([outcome(sent, OutcomeKind.DELIVERED)])
    found = jobs(sending.ground, sending.stores, asyncio.get_running_loop())
    [records] = [job for job in found if job.name == "records-default"]
    sending.clock.advance(11 * DAY)
    records.run()
    assert len(sending.rows(tables.message)) == 3, "the workspace's policy of today holds while it is there"
    purged(sending)
    for days, left in ((0, {"long", "never-heard-of"}), (80, {"long"}), (30, set[str]())):
        sending.clock.advance(days * DAY)
        records.run()
        assert {row.policy_name for row in sending.rows(tables.message)} == left
