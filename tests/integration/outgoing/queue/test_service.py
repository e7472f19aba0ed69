"""What operators see and change, with its audit; what is written behind; what goes in time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.control.errors import Conflict, Forbidden, NotFound
from gateway.control.records import Actor
from gateway.control.transaction import chain_hash
from gateway.outgoing.queue import OutcomeKind, QueueLocation, QueueService, Records, lookup, tables
from gateway.outgoing.queue.records import KEPT_SIGN_INS
from gateway.outgoing.queue.retention import RecordRetention, collect_orphans, purge_counters, purge_records
from gateway.outgoing.quota import Charge
from gateway.system.blobs import LocalBlobs
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from gateway.system.ids import IdSource
from tests.integration.outgoing.queue.crashing import service_of
from tests.integration.outgoing.queue.parts import (
    CONTENT,
    NOW,
    count,
    events_of,
    new_message,
    new_recipient,
    outcome,
    recipients_of,
    running_store,
    states_of,
)

OPERATOR = Actor("cli", "root", address="local")
LARGE = CONTENT + b"x" * 70_000 + b"\r\n"


async def test_listing_by_state_tenant_account_shard_and_recipient(
    location_database: Database, tmp_path: Path
) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    async with running_store(location_database, tmp_path) as store:
        first = new_message(new_recipient("B@Example.net"), tenant_id="t-1", account_id="a-1")
        held = new_message(
            new_recipient(shard_id="shard-9"), tenant_id="t-2", account_id="a-2", hold_rule="odd"
        )
        done = new_message(new_recipient(hand_over=True), tenant_id="t-2")
        for message in (first, held):
            await store.add(message)
        (delivery,) = (await store.add(done)).deliveries
        await store.record([outcome(delivery, OutcomeKind.DELIVERED)])
        assert [row.id for row in service.list()] == [first.id, held.id]
        assert [row.id for row in service.list("all")] == [first.id, held.id, done.id]
        assert [row.id for row in service.list("delivered")] == [done.id]
        assert [row.id for row in service.list(tenant_id="t-2")] == [held.id]
        assert [row.id for row in service.list(account_id="a-1")] == [first.id]
        assert [row.id for row in service.list(shard_id="shard-9")] == [held.id]
        assert [row.id for row in service.list(recipient="b@example.NET")] == [first.id, held.id]
        assert len(service.list("all", limit=2)) == 2
        (row,) = service.list("held")
        assert (row.sender, row.recipient, row.attempts, row.account_id) == (
            "a@acme.example",
            "b@example.net",
            0,
            "a-2",
        )
        view = service.show(held.id)
        assert view.hold_rule == "odd"
        assert [recipient.state for recipient in view.recipients] == ["held"]


async def test_an_operator_changes_a_message_and_the_audit_says_so(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    service = service_of(location_database, tmp_path, clock)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        message = new_message(new_recipient(), new_recipient("c@example.net"), content=LARGE)
        await store.add(message)
        service.hold(OPERATOR, message.id, recipient="C@example.net", reason="asked")
        assert states_of(location_database) == ["ready", "held"]
        clock.advance(5000)
        service.release(OPERATOR, message.id)
        row = recipients_of(location_database)[1]
        assert (row.state, row.give_up_at) == ("ready", message.give_up_at + 5000)
        service.drop(OPERATOR, message.id, recipient="b@example.net")
        assert count(location_database, tables.message_body) == 1
        service.drop(OPERATOR, message.id)
        assert states_of(location_database) == ["dropped", "dropped"]
        assert recipients_of(location_database)[0].last_reply == "dropped by cli:root"
        assert count(location_database, tables.message_body) == 0
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and "queue" in path.parts]
        with pytest.raises(Conflict, match="finished"):
            service.retry(OPERATOR, message.id)
        assert events_of(location_database, message.id) == [
            "accepted",
            "held",
            "released",
            "dropped",
            "dropped",
        ]
    _check_chain(location_database, ["queue.hold", "queue.release", "queue.drop", "queue.drop"])


def _check_chain(database: Database, operations: list[str]) -> None:
    with database.read() as connection:
        entries = connection.execute(
            sa.select(tables.audit_entries).order_by(tables.audit_entries.c.number)
        ).all()
        head = connection.execute(sa.select(tables.audit_head)).one()
        payload = connection.execute(sa.select(tables.audit_payloads)).first()
    assert payload is not None
    assert '"reason":"asked"' in payload.after
    assert [entry.operation for entry in entries] == operations
    assert [entry.number for entry in entries] == list(range(1, len(operations) + 1))
    previous = ""
    for entry in entries:
        assert entry.previous_hash == previous
        assert entry.chain_hash == chain_hash(b"k" * 32, entry)
        previous = entry.chain_hash
    assert (head.number, head.hash) == (len(operations), previous)


@pytest.mark.parametrize(
    ("rule", "may_release"), [("policy free: invoices", True), ("plan standard: invoices", False)]
)
async def test_a_tenant_releases_what_its_policy_held_not_what_the_plan_did(
    location_database: Database, tmp_path: Path, rule: str, may_release: bool
) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    tenants = Actor("api", "key", tenant_id="tenant-1")
    async with running_store(location_database, tmp_path) as store:
        message = new_message(hold_rule=rule)
        await store.add(message)
        if not may_release:
            with pytest.raises(Forbidden, match="held by plan standard: invoices"):
                service.release(tenants, message.id)
            service.release(OPERATOR, message.id)
            service.hold(tenants, message.id)
        assert [row.state for row in service.release(tenants, message.id)] == ["ready"]


async def test_what_the_operator_holds_no_tenant_releases(
    location_database: Database, tmp_path: Path
) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    tenants = Actor("api", "key", tenant_id="tenant-1")
    async with running_store(location_database, tmp_path) as store:
        message = new_message(new_recipient(), new_recipient("c@example.net"))
        await store.add(message)
        service.hold(OPERATOR, message.id, recipient="c@example.net")
        service.hold(tenants, message.id)
        assert [row.parked for row in service.list("held")] == ["tenant", "operator"]
        assert [row.recipient for row in service.release(tenants, message.id)] == ["b@example.net"]
        with pytest.raises(Forbidden, match="held by the operator"):
            service.release(tenants, message.id)
        assert states_of(location_database) == ["ready", "held"]
        service.drop(tenants, message.id, recipient="c@example.net")
        assert states_of(location_database) == ["ready", "dropped"]


async def test_what_is_being_attempted_cannot_be_changed(location_database: Database, tmp_path: Path) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    async with running_store(location_database, tmp_path) as store:
        message = new_message(new_recipient(hand_over=True))
        await store.add(message)
        for change in (service.retry, service.hold, service.release, service.drop):
            with pytest.raises(Conflict, match="being attempted just now"):
                change(OPERATOR, message.id)
        assert states_of(location_database) == ["owned"]


async def test_another_tenants_message_is_not_there(location_database: Database, tmp_path: Path) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    stranger = Actor("api", "key", tenant_id="t-other")
    async with running_store(location_database, tmp_path) as store:
        message = new_message()
        await store.add(message)
        for change in (service.retry, service.hold, service.release, service.drop):
            with pytest.raises(NotFound) as foreign:
                change(stranger, message.id)
            with pytest.raises(NotFound) as unknown:
                change(stranger, "0" * 26)
            assert foreign.value.detail.replace(message.id, "") == unknown.value.detail.replace("0" * 26, "")
        assert service.trace(message.id, tenant_id="t-other") == []
        assert service.list(tenant_id="t-other") == []


async def test_a_trace_by_id_message_id_and_recipient(location_database: Database, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    service = service_of(location_database, tmp_path, clock)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        message = new_message(new_recipient("Bob@Example.net", hand_over=True), clock=clock)
        (delivery,) = (await store.add(message)).deliveries
        await store.record([outcome(delivery, OutcomeKind.DELIVERED, peer="mx.example.net")])
        assert message.header_message_id is not None
        for indexed in (False, True):
            bare = message.header_message_id.strip("<>")
            for what in (message.id, message.header_message_id, bare, "bob@example.net"):
                events = service.trace(what)
                assert [(event.kind, event.recipient) for event in events] == [
                    ("accepted", None),
                    ("delivered", "Bob@Example.net"),
                ], (what, indexed)
                assert events[1].peer == "mx.example.net"
            entered = await store.run(lambda connection: lookup.enter_some(connection, NOW + 1000))
            assert entered == (0 if indexed else 1)
        assert service.trace("nobody@example.net") == []


async def test_a_key_that_a_queued_message_names_is_in_use(
    location_database: Database, tmp_path: Path
) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    async with running_store(location_database, tmp_path) as store:
        assert service.keys_in_use(["key-1", "key-3"]) == set()
        (delivery,) = (await store.add(new_message(new_recipient(hand_over=True)))).deliveries
        assert service.keys_in_use(["key-1", "key-3"]) == {"key-1"}
        await store.record([outcome(delivery, OutcomeKind.DELIVERED)])
        assert service.keys_in_use(["key-1", "key-3"]) == set()


@dataclass(frozen=True)
class Attempt:
    account_id: str = "account-1"
    tenant_id: str = "tenant-1"
    at: float = NOW
    protocol: str = "smtp"
    address: str = "192.0.2.1"
    outcome: str = "accepted"
    credential_id: str | None = "cred-1"


@dataclass(frozen=True)
class Refusal:
    tenant_id: str = "tenant-1"
    account_id: str | None = "account-1"
    at: float = NOW
    client_address: str = "192.0.2.1"
    reverse_path: str = "a@acme.example"
    from_address: str | None = None
    recipients: tuple[str, ...] = ("b@example.net",)
    reply: str = "550 5.7.1 no"
    rule: str = "from"
    workspace_id: str = "workspace-1"
    environment: str = "production"


async def test_records_are_written_behind_and_bounded(location_database: Database, tmp_path: Path) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    async with running_store(location_database, tmp_path) as store:
        records = Records(store)
        for index in range(KEPT_SIGN_INS + 20):
            records.sign_in(Attempt(at=NOW + index))  # type: ignore[arg-type]
        records.sign_in(Attempt(outcome="wrong_credentials", credential_id=None, account_id="account-2"))  # type: ignore[arg-type]
        records.refused(Refusal(recipients=tuple(f"r{n}@example.net" for n in range(100))))
        records.flush()
        await store.run(lambda connection: None)
        logins = service.logins("account-1")
        assert len(logins) == KEPT_SIGN_INS
        assert logins[0].at == NOW + KEPT_SIGN_INS + 19
        assert [row.outcome for row in service.logins("account-2")] == ["wrong_credentials"]
        uses = service.credential_uses(["cred-1", "cred-2"])
        assert {key: use.last_used_at for key, use in uses.items()} == {"cred-1": logins[0].at}
        (refused,) = service.refused(tenant_id="tenant-1")
        assert (refused.recipient_count, len(refused.recipients)) == (100, 20)
        assert service.refused(tenant_id="tenant-2") == []


async def test_a_flood_of_records_is_dropped_not_kept(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        records = Records(store)
        for _ in range(5000):
            records.refused(Refusal())
        records.flush()
        await store.run(lambda connection: None)
        assert count(location_database, tables.refused) == 2000


async def test_finished_records_go_after_their_time(location_database: Database, tmp_path: Path) -> None:
    day = 86_400.0
    clock = ManualClock(NOW)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        kept, gone = new_message(clock=clock), new_message(new_recipient(hand_over=True), clock=clock)
        longer = new_message(new_recipient(hand_over=True), clock=clock, workspace_id="workspace-long")
        await store.add(kept)
        for message in (gone, longer):
            (delivery,) = (await store.add(message)).deliveries
            await store.record([outcome(delivery, OutcomeKind.DELIVERED)])
        retention = RecordRetention(90 * day, {"workspace-long": 200 * day})
        assert purge_records(location_database, retention, NOW + 89 * day) == 0
        assert purge_records(location_database, retention, NOW + 91 * day) == 1
        assert states_of(location_database) == ["ready", "delivered"]
        assert events_of(location_database, gone.id) == []
        assert purge_records(location_database, retention, NOW + 300 * day) == 1
        assert events_of(location_database, kept.id) == ["accepted"]


async def test_old_counters_go(location_database: Database, tmp_path: Path) -> None:
    windows = ("hour", "day")
    charges = tuple(Charge("account", "a", "messages", window, 9, 1, "policy") for window in windows)  # type: ignore[arg-type]
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(charges=charges))
        assert purge_counters(location_database, NOW + 86_400) == 0
        assert purge_counters(location_database, NOW + 3 * 86_400) == 1
        assert purge_counters(location_database, NOW + 500 * 86_400) == 1


async def test_only_blobs_that_nothing_names_are_collected(
    location_database: Database, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path)
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(content=LARGE))
        blobs.put("queue/orphan", b"left by a crash")
        (orphan,) = [entry for entry in blobs.list("queue") if entry.key == "queue/orphan"]
        assert collect_orphans(location_database, blobs, orphan.modified_at + 3000) == 0
        assert collect_orphans(location_database, blobs, orphan.modified_at + 7200) == 1
        assert len(list(blobs.list("queue"))) == 1


async def test_nothing_of_one_location_is_in_the_files_of_another(
    tmp_path: Path, database_templates: object
) -> None:
    """Residency: each location has its own file and folder, and nothing crosses."""
    secrets: dict[str, list[bytes]] = {}
    databases: dict[str, Database] = {}
    for name in ("east", "west"):
        folder = tmp_path / name
        folder.mkdir()
        url = database_templates.sqlite("location", folder / "location.db")  # type: ignore[attr-defined]
        database = databases[name] = Database.open(url, purpose=name)
        marks = [hashlib.sha256(f"{name}{n}".encode()).hexdigest() for n in range(4)]
        secrets[name] = [mark.encode() for mark in marks]
        clock = ManualClock(NOW)
        async with running_store(database, folder / "blobs", f"{name}-worker", clock) as store:
            small, large = CONTENT + marks[0].encode(), LARGE + marks[1].encode()
            recipient = new_recipient(f"{marks[2]}@example.net", hand_over=True)
            charge = Charge("account", marks[3], "messages", "day", 5, 1, "policy")
            await store.add(new_message(content=large, charges=(charge,)))
            (delivery,) = (await store.add(new_message(recipient, content=small))).deliveries
            await store.record([outcome(delivery, OutcomeKind.DEFERRED, reply="451 no", next_attempt_at=NOW)])
    try:
        locations = {n: QueueLocation(d, LocalBlobs(tmp_path / n / "blobs")) for n, d in databases.items()}
        clock = ManualClock(NOW)
        service = QueueService(locations, clock, IdSource(clock), b"k" * 32)
        assert {row.location for row in service.list()} == {"east", "west"}
        held = service.list("waiting")[0]
        service.hold(OPERATOR, held.id, reason="a look")
    finally:
        for database in databases.values():
            database.close()
    for name, other in (("east", "west"), ("west", "east")):
        octets = b"".join(path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file())
        assert all(mark in octets for mark in secrets[name])
        assert not any(mark in octets for mark in secrets[other])
