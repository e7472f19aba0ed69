"""The queued mail of what was deleted: dropped with an audit entry each, nobody else's touched."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from gateway.app.deletion import LocationMail
from gateway.control.records import Actor
from gateway.outgoing.queue import tables
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.crashing import service_of
from tests.integration.outgoing.queue.parts import NOW, new_message, new_recipient, running_store, states_of

SYSTEM = Actor("system", "deletion")


async def test_queued_mail_of_an_account_or_a_tenant_is_dropped(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    mail = LocationMail(service_of(location_database, tmp_path, clock), SYSTEM)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        two = new_recipient(), new_recipient("c@example.net")
        ann = new_message(*two, tenant_id="t-1", account_id="ann")
        held = new_message(tenant_id="t-1", account_id="ann", hold_rule="odd")
        bob = new_message(tenant_id="t-1", account_id="bob")
        eve = new_message(tenant_id="t-2", account_id="eve")
        for message in (ann, held, bob, eve):
            await store.add(message)
        assert mail.is_queued("shard-1")
        assert mail.keys_in_use(["key-2", "key-9"])
        assert not mail.keys_in_use(["key-9"])
        assert mail.drop(tenant_id="t-1", account_id="ann")
        assert states_of(location_database, ann.id) == ["dropped", "dropped"]
        assert states_of(location_database, held.id) == ["dropped"]
        assert (states_of(location_database, bob.id), states_of(location_database, eve.id)) == (
            ["ready"],
            ["ready"],
        )
        assert mail.drop(tenant_id="t-1", account_id=None)
        assert states_of(location_database, bob.id) == ["dropped"]
        assert states_of(location_database, eve.id) == ["ready"]
        assert mail.drop(tenant_id="t-1", account_id=None)
    entries = tables.audit_entries
    with location_database.read() as connection:
        audited = connection.execute(
            sa.select(entries.c.operation, entries.c.resource_id, entries.c.actor_id)
        )
        assert sorted(audited) == sorted(
            ("queue.drop", message.id, "deletion") for message in (ann, held, bob)
        )


async def test_what_is_being_sent_is_left_for_the_next_run(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    mail = LocationMail(service_of(location_database, tmp_path, clock), SYSTEM)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        sent = new_message(new_recipient(hand_over=True), tenant_id="t-1", account_id="ann")
        waits = new_message(tenant_id="t-1", account_id="ann")
        await store.add(sent)
        await store.add(waits)
        assert not mail.drop(tenant_id="t-1", account_id="ann")
        assert states_of(location_database, waits.id) == ["dropped"]
        assert states_of(location_database, sent.id) == ["owned"]
