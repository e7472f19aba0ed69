"""A location's history as events: each once, in the order of the commits, for whom it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.control.events.cursor import Cursor, decode_cursor, encode_cursor
from gateway.control.events.feed import Feed, FeedPage
from gateway.control.events.idents import EventIds
from gateway.control.events.source import Wanted
from gateway.control.events.types import HISTORY_SECONDS, Event, EventType
from gateway.control.records import Actor
from gateway.outgoing.queue import OutcomeKind, tables
from gateway.outgoing.queue.outbox import LocationEvents, location_sources, renumber_restored
from gateway.outgoing.queue.outboxrows import event_of, event_rows, loose_row
from gateway.outgoing.queue.records import write_refusals
from gateway.outgoing.queue.retention import RecordRetention, purge_loose_events, purge_records
from gateway.outgoing.queue.rows import event_row
from gateway.outgoing.quota import Charge, QuotaRefused
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import (
    NOW,
    count,
    new_message,
    new_recipient,
    outcome,
    running_store,
)

EVERYONE = Actor("cli", "tester")
IDS = EventIds(b"e" * 32)


def _feed(database: Database) -> Feed:
    return Feed(location_sources("default", database, IDS), ManualClock(NOW + 10))


def _events(database: Database, actor: Actor = EVERYONE) -> list[Event]:
    return list(_feed(database).read(actor, limit=1000).events)


def _add(connection: Any, kind: str, at: float = NOW) -> None:
    connection.execute(sa.insert(tables.event).inline(), [event_row("t", "m", None, kind, at)])


async def test_acceptance_and_outcomes_come_once_each_with_their_facts(
    location_database: Database, tmp_path: Path
) -> None:
    async with running_store(location_database, tmp_path) as store:
        recipients = [new_recipient(f"{name}@{name}.example") for name in ("a", "b", "c", "d")]
        message = new_message(*recipients, tags=("x",), metadata={"k": "v"})
        stored = await store.add(message, hand_over=True)
        kinds = (OutcomeKind.DELIVERED, OutcomeKind.BOUNCED, OutcomeKind.EXPIRED, OutcomeKind.DEFERRED)
        done = [outcome(d, kind) for d, kind in zip(stored.deliveries, kinds, strict=True)]
        await store.record(done)
    events = _events(location_database)
    assert [event.type for event in events] == [
        EventType.MESSAGE_ACCEPTED,
        EventType.MESSAGE_DELIVERED,
        EventType.MESSAGE_BOUNCED,
        EventType.MESSAGE_EXPIRED,
        EventType.MESSAGE_DEFERRED,
    ]
    assert {event.subject for event in events} == {f"message/{message.id}"}
    assert {(e.tenant_id, e.workspace_id, e.account_id, e.environment) for e in events} == {
        ("tenant-1", "workspace-1", "account-1", "production")
    }
    assert events[1].data["recipient"] == "a@a.example"
    assert (events[1].data["tags"], events[1].data["metadata"]) == (["x"], {"k": "v"})
    assert len({event.id for event in events}) == len(events)


async def test_a_held_message_is_accepted_and_held(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(hold_rule="too new"))
    assert [event.type for event in _events(location_database)] == [
        EventType.MESSAGE_ACCEPTED,
        EventType.MESSAGE_HELD,
    ]


async def test_a_tenant_sees_its_own_alone(location_database: Database, tmp_path: Path) -> None:
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(tenant_id="one"))
        await store.add(new_message(tenant_id="two"))
    seen = _events(location_database, Actor("api", "key", tenant_id="two"))
    assert [event.tenant_id for event in seen] == ["two"]


class _Refused:
    tenant_id, account_id, at, client_address = "tenant-1", "account-1", NOW, "192.0.2.1"
    reverse_path, from_address, recipients = "a@acme.example", None, ("b@example.net",)
    reply, rule = "550 5.7.1 no", "rule 1"
    workspace_id, environment = "workspace-1", "staging"


def test_a_refused_submission_is_an_event_of_its_account(location_database: Database) -> None:
    with location_database.write() as connection:
        write_refusals(connection, [_Refused(), _Refused()])
    events = _events(location_database)
    assert [event.type for event in events] == [EventType.MESSAGE_REJECTED] * 2
    assert events[0].subject == "account/account-1"
    assert events[0].data["reply"] == "550 5.7.1 no"
    assert len(_events(location_database, Actor("api", "key", workspace_id="workspace-1"))) == 2
    assert _events(location_database, Actor("api", "key", environment="production")) == []


def test_what_belongs_to_no_message_says_itself_whose_it_is(location_database: Database) -> None:
    data = {"subject": "workspace/w", "workspace_id": "w", "percent": 75}
    with location_database.write() as connection:
        row = loose_row(EventType.QUOTA_REACHED, "t", NOW, data)
        connection.execute(sa.insert(tables.event).inline(), [row])
    (event,) = _events(location_database)
    assert (event.type, event.subject, event.workspace_id) == (EventType.QUOTA_REACHED, "workspace/w", "w")
    assert event.data["percent"] == 75


def test_many_rows_of_others_are_looked_through_piece_by_piece(location_database: Database) -> None:
    with location_database.write() as connection:
        for _ in range(1203):
            _add(connection, "retried")
        row = loose_row(EventType.QUOTA_REACHED, "t", NOW, {})
        connection.execute(sa.insert(tables.event).inline(), [row])
    page = _feed(location_database).read(EVERYONE)
    assert [event.type for event in page.events] == [EventType.QUOTA_REACHED]
    assert _feed(location_database).read(EVERYONE, page.cursor).events == ()


def test_the_oldest_position_is_before_all_that_is_young_enough(location_database: Database) -> None:
    for n in range(40):
        with location_database.write() as connection:
            row = loose_row(EventType.QUOTA_REACHED, "t", NOW + 100 * n, {"n": n})
            connection.execute(sa.insert(tables.event).inline(), [row])
    source = LocationEvents("x", location_database, IDS, tables.event, event_rows, event_of)
    since = NOW + 100 * 25
    page = source.read(source.oldest(since), 100, Wanted(since=since))
    assert [event.data["n"] for _, event in page.events] == list(range(25, 40))


def test_a_transaction_that_commits_late_is_not_slipped_in_before_the_cursor(
    postgresql_location: Database,
) -> None:
    """Two writers on PostgreSQL: the one that began first commits last."""
    engine = sa.create_engine(postgresql_location.engine.url)
    source = LocationEvents("x", postgresql_location, IDS, tables.event, event_rows, event_of)

    def seen(after: tuple[int, ...]) -> tuple[list[int], tuple[int, ...]]:
        page = source.read(after, 100, Wanted())
        return [event.data["n"] for _, event in page.events], page.position

    def write(connection: sa.Connection, n: int) -> None:
        row = loose_row(EventType.QUOTA_REACHED, "t", NOW, {"n": n})
        connection.execute(sa.insert(tables.event).inline(), [row])

    with engine.connect() as early, engine.connect() as late:
        write(early, 1)
        write(late, 2)
        write(early, 3)
        late.commit()
        got, position = seen((0, 0))
        assert got == []
        early.commit()
        got, position = seen(position)
        assert got == [1, 3, 2]
        write(late, 4)
        write(early, 5)
        late.commit()
        got, position = seen(position)
        assert got == [4]
        early.rollback()
        assert seen(position)[0] == []
    engine.dispose()


@pytest.mark.parametrize(
    ("changes", "subject", "tenant_id", "account_id"),
    [
        ({"scope": "account", "scope_id": "account-1"}, "account/account-1", "tenant-1", "account-1"),
        ({"scope": "tenant", "scope_id": "workspace-1/tenant-1"}, "tenant/tenant-1", "tenant-1", None),
        ({"scope": "workspace", "scope_id": "workspace-1"}, "workspace/workspace-1", "tenant-1", None),
        (
            {"scope": "workspace", "scope_id": "workspace-1", "shared": True},
            "workspace/workspace-1",
            None,
            None,
        ),
    ],
)
async def test_a_quota_half_used_is_told_to_whom_it_belongs(
    location_database: Database,
    tmp_path: Path,
    changes: dict[str, Any],
    subject: str,
    tenant_id: str | None,
    account_id: str | None,
) -> None:
    values = {"metric": "messages", "window": "day", "limit": 4, "amount": 1, "document": "plan free"}
    charge = Charge(**(values | changes))
    async with running_store(location_database, tmp_path) as store:
        for _ in range(2):
            await store.add(new_message(charges=(charge,)))
    (event,) = [one for one in _events(location_database) if one.type == EventType.QUOTA_REACHED]
    assert (event.subject, event.tenant_id, event.account_id) == (subject, tenant_id, account_id)
    assert (event.workspace_id, event.environment) == ("workspace-1", "production")
    assert {key: event.data[key] for key in ("percent", "limit", "value", "window", "document")} == {
        "percent": 50,
        "limit": 4,
        "value": 2,
        "window": "day",
        "document": "plan free",
    }


async def test_a_message_that_is_refused_reaches_nothing(location_database: Database, tmp_path: Path) -> None:
    charge = Charge("account", "account-1", "messages", "day", 1, 1, "plan free")
    async with running_store(location_database, tmp_path) as store:
        await store.add(new_message(charges=(charge,)))
        with pytest.raises(QuotaRefused):
            await store.add(new_message(charges=(charge,)))
    told = [one.data["percent"] for one in _events(location_database) if one.type == EventType.QUOTA_REACHED]
    assert told == [50, 75, 90, 100]


async def test_a_purge_never_makes_a_number_be_given_twice(
    location_database: Database, tmp_path: Path
) -> None:
    day = 86_400.0
    async with running_store(location_database, tmp_path) as store:
        stored = await store.add(new_message(), hand_over=True)
        await store.record([outcome(stored.deliveries[0], OutcomeKind.DELIVERED)])
        cursor = _feed(location_database).head()
        assert purge_records(location_database, RecordRetention(), NOW + 91 * day) == 1
        assert _events(location_database) == []
        await store.add(new_message())
    page = _feed(location_database).read(EVERYONE, cursor)
    assert [event.type for event in page.events] == [EventType.MESSAGE_ACCEPTED]


def test_loose_events_go_when_nobody_may_read_them(location_database: Database) -> None:
    with location_database.write() as connection:
        for at in (NOW, NOW + 1, NOW + HISTORY_SECONDS):
            row = loose_row(EventType.QUOTA_REACHED, "t", at, {})
            connection.execute(sa.insert(tables.event).inline(), [row])
    assert purge_loose_events(location_database, NOW + HISTORY_SECONDS + 2) == 2
    assert count(location_database, tables.event) == 1


def _loose(database: Database, n: int) -> None:
    with database.write() as connection:
        row = loose_row(EventType.QUOTA_REACHED, "t", NOW, {"n": n})
        connection.execute(sa.insert(tables.event).inline(), [row])


def _numbers(page: FeedPage) -> list[int]:
    return [event.data["n"] for event in page.events]


def test_a_reader_goes_on_after_an_older_backup_took_the_databases_place(location_database: Database) -> None:
    for n in range(3):
        _loose(location_database, n)
    cursor = _feed(location_database).head()
    with location_database.write() as connection:
        connection.execute(sa.delete(tables.event).where(tables.event.c.id > 1))
    page = _feed(location_database).read(EVERYONE, cursor)
    assert page.events == ()
    _loose(location_database, 9)
    assert _numbers(_feed(location_database).read(EVERYONE, page.cursor)) == [9]


def test_a_dump_restored_on_a_younger_server_loses_no_event(postgresql_location: Database) -> None:
    for n in range(4):
        _loose(postgresql_location, n)
    cursor = _feed(postgresql_location).read(EVERYONE, limit=2).cursor
    with postgresql_location.write() as connection:
        connection.execute(sa.update(tables.event).values(xact=tables.event.c.xact + 10**12))
    far = decode_cursor(cursor)
    ahead = {name: (xact and xact + 10**12, n) for name, (xact, n) in far.positions.items()}
    cursor = encode_cursor(Cursor(ahead, far.made_at))
    assert renumber_restored(postgresql_location) == 4
    assert renumber_restored(postgresql_location) == 0
    _loose(postgresql_location, 9)
    page = _feed(postgresql_location).read(EVERYONE, cursor)
    assert _numbers(page) == [2, 3, 9]
    assert _feed(postgresql_location).read(EVERYONE, page.cursor).events == ()
