"""Messages, queued recipients and refusals a page at a time, for callers who may see some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.control.errors import Invalid, NotFound
from gateway.control.paging import Page, PageQuery
from gateway.control.records import Actor
from gateway.outgoing.intake.refused import RefusedSubmission
from gateway.outgoing.queue import NewMessage, OutcomeKind, lookup, tables
from gateway.outgoing.queue.pages import MessagePages
from gateway.outgoing.queue.records import write_refusals
from gateway.system.clock import ManualClock
from gateway.system.database import Database
from tests.integration.outgoing.queue.crashing import service_of
from tests.integration.outgoing.queue.parts import (
    NOW,
    count,
    new_message,
    new_recipient,
    outcome,
    running_store,
)

ROOT = Actor("cli", "root")
LIMITS: list[dict[str, Any]] = [
    {"tenant_id": "t-1"},
    {"workspace_id": "w-1"},
    {"environment": "staging"},
    {"tenant_id": "t-2", "environment": "staging"},
]


def every(read: Callable[[Actor, PageQuery], Page[Any]], actor: Actor, **filters: str) -> list[Any]:
    """All rows, three a page; each page but the last is full."""
    query = PageQuery(limit=3, filters=filters)
    found: list[Any] = []
    while True:
        page = read(actor, query)
        found += page.items
        if page.cursor is None:
            return found
        assert len(page.items) == 3
        query = replace(query, cursor=page.cursor)


async def a_dozen(database: Database, folder: Path, clock: ManualClock) -> list[NewMessage]:
    """Twelve messages of two tenants in two workspaces and environments, one an hour."""
    messages = []
    async with running_store(database, folder, clock=clock) as store:
        for n in range(12):
            clock.advance(3600)
            message = new_message(
                new_recipient(f"r{n % 3}@example.net"),
                new_recipient("B@Example.org"),
                clock=clock,
                tenant_id=f"t-{n % 2 + 1}",
                workspace_id=f"w-{n % 4 // 2 + 1}",
                account_id=f"a-{n % 6}",
                environment="staging" if n % 3 == 0 else "production",
                stream="agent" if n < 4 else "default",
                policy_name="free",
                policy_version="7",
                tags=("x",),
                metadata={"order": str(n)},
                hold_rule="odd" if n == 5 else None,
            )
            await store.add(message)
            messages.append(message)
    return messages


@pytest.mark.parametrize("entered", [False, True])
async def test_messages_are_found_by_what_they_are(
    location_database: Database, tmp_path: Path, entered: bool
) -> None:
    clock = ManualClock(NOW)
    messages = await a_dozen(location_database, tmp_path, clock)
    if entered:
        with location_database.write() as connection:
            assert lookup.enter_some(connection, clock.now() + 100_000) == 12
    pages = MessagePages({"default": location_database})
    newest_first = [message.id for message in reversed(messages)]

    def ids(wanted: Callable[[int], bool]) -> list[str]:
        return [messages[n].id for n in range(11, -1, -1) if wanted(n)]

    def found(**filters: str) -> list[str]:
        return [row.id for row in every(pages.messages, ROOT, **filters)]

    assert found() == newest_first
    assert found(tenant_id="t-1") == ids(lambda n: n % 2 == 0)
    assert found(account_id="a-3", tenant_id="t-2") == ids(lambda n: n % 6 == 3)
    assert found(workspace_id="w-2", stream="agent") == ids(lambda n: n % 4 // 2 == 1 and n < 4)
    assert found(state="held") == [messages[5].id]
    assert found(state="live") == found(state="all") == newest_first
    assert found(state="delivered") == []
    assert found(since="2027-01-15T12:00:00Z", until="2027-01-15T17:00:00+01:00") == ids(lambda n: 3 <= n < 7)
    assert found(since=str(NOW + 12 * 3600)) == [messages[11].id]
    assert found(recipient="R1@example.NET") == ids(lambda n: n % 3 == 1)
    assert found(recipient="b@example.org", tenant_id="t-2") == ids(lambda n: n % 2 == 1)
    assert messages[7].header_message_id is not None
    assert found(message_id=messages[7].header_message_id) == [messages[7].id]
    assert found(message_id=messages[7].header_message_id, recipient="r0@example.net") == []


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("entered", [False, True])
async def test_a_limited_caller_sees_its_own_only(
    location_database: Database, tmp_path: Path, limits: dict[str, Any], entered: bool
) -> None:
    clock = ManualClock(NOW)
    messages = await a_dozen(location_database, tmp_path, clock)
    if entered:
        with location_database.write() as connection:
            lookup.enter_some(connection, clock.now() + 100_000)
    service = service_of(location_database, tmp_path, clock)
    actor = Actor("api", "key", **limits)
    own = [one for one in messages if all(getattr(one, name) == value for name, value in limits.items())]
    others = [one for one in messages if one not in own]
    assert own
    assert others
    assert [row.id for row in every(service.pages.messages, actor)] == [one.id for one in reversed(own)]
    assert {row.id for row in every(service.pages.queue, actor)} == {one.id for one in own}
    for other in others:
        found = every(service.pages.messages, actor, account_id=other.account_id or "")
        assert {row.id for row in found} <= {one.id for one in own}
    assert service.pages.message(actor, own[0].id).summary.id == own[0].id
    for call in (service.pages.message, service.hold, service.retry, service.release, service.drop):
        with pytest.raises(NotFound) as hidden:
            call(actor, others[0].id)
        with pytest.raises(NotFound) as missing:
            call(actor, "0" * 26)
        assert hidden.value.code == missing.value.code
    assert service.trace(others[0].id, actor=actor) == []
    traced = {event.message_id for event in service.trace("b@example.org", actor=actor)}
    assert traced == {one.id for one in own}


async def test_a_message_shows_its_recipients_and_its_history(
    location_database: Database, tmp_path: Path
) -> None:
    service = service_of(location_database, tmp_path, ManualClock(NOW))
    message = new_message(
        new_recipient(shard_id="s-1", hand_over=True),
        new_recipient("c@example.org", shard_id="s-2"),
        policy_name="free",
        policy_version="7",
    )
    async with running_store(location_database, tmp_path) as store:
        (delivery,) = (await store.add(message)).deliveries
        await store.record([outcome(delivery, OutcomeKind.DELIVERED, peer="mx.example.net")])
        detail = service.pages.message(ROOT, message.id.upper())
    assert (detail.summary.policy, detail.summary.policy_version) == ("free", 7)
    assert detail.summary.states == {"delivered": 1, "ready": 1}
    assert [(row.recipient, row.shard_id, row.state) for row in detail.recipients] == [
        ("b@example.net", "s-1", "delivered"),
        ("c@example.org", "s-2", "ready"),
    ]
    assert [(event.kind, event.recipient) for event in detail.events] == [
        ("accepted", None),
        ("delivered", "b@example.net"),
    ]


async def test_queued_recipients_come_by_page_and_filter(location_database: Database, tmp_path: Path) -> None:
    messages = await a_dozen(location_database, tmp_path, ManualClock(NOW))
    pages = MessagePages({"default": location_database})
    rows = every(pages.queue, ROOT)
    assert [(row.id, row.n) for row in rows] == [(one.id, n) for one in messages for n in (1, 2)]
    assert len(every(pages.queue, ROOT, recipient="b@example.org", tenant_id="t-1")) == 6
    assert len(every(pages.queue, ROOT, state="held")) == 2
    assert every(pages.queue, ROOT, state="bounced") == []


def refusal(n: int) -> RefusedSubmission:
    return RefusedSubmission(
        tenant_id=f"t-{n % 2 + 1}",
        account_id=f"a-{n % 3}",
        at=NOW + n,
        client_address="192.0.2.1",
        reverse_path="a@acme.example",
        from_address=None,
        recipients=("b@example.net",),
        reply=f"550 5.7.1 number {n}",
        rule="policy free: never",
        workspace_id=f"w-{n % 4 // 2 + 1}",
        environment="staging" if n % 3 == 0 else "production",
    )


def test_refusals_of_several_locations_come_in_one_order(make_database_url: Callable[..., str]) -> None:
    east = Database.open(make_database_url("east", "location"), purpose="east")
    west = Database.open(make_database_url("west", "location"), purpose="west")
    with east, west:
        for database, numbers in ((east, range(0, 10, 2)), (west, range(1, 10, 2))):
            with database.write() as connection:
                write_refusals(connection, [refusal(n) for n in numbers])
        pages = MessagePages({"east": east, "west": west})
        rows = every(pages.refused, ROOT)
        assert [row.created_at - NOW for row in rows] == list(range(9, -1, -1))
        assert len({row.id for row in rows}) == 10
        assert [row.created_at - NOW for row in every(pages.refused, ROOT, account_id="a-0")] == [9, 6, 3, 0]
        for limits in LIMITS:
            names = {"tenant_id": "tenant_id", "workspace_id": "workspace_id", "environment": "environment"}
            own = [
                n
                for n in range(9, -1, -1)
                if all(getattr(refusal(n), names[key]) == value for key, value in limits.items())
            ]
            found = every(pages.refused, Actor("api", "key", **limits))
            assert [row.created_at - NOW for row in found] == own


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (PageQuery(limit=0), "bad-limit"),
        (PageQuery(sort="size"), "bad-sort"),
        (PageQuery(filters={"colour": "red"}), "bad-filter"),
        (PageQuery(filters={"tenant_id": "a\x00b"}), "bad-filter"),
        (PageQuery(filters={"state": "gone"}), "bad-state"),
        (PageQuery(filters={"since": "yesterday"}), "bad-time"),
        (PageQuery(filters={"until": "9" * 20}), "bad-time"),
        (PageQuery(cursor="?"), "bad-cursor"),
        (PageQuery(cursor="WyJtZXNzYWdlcyIsIlx1MDAwMCJd"), "bad-cursor"),
        (PageQuery(cursor="WyJxdWV1ZSIsWyJhIiwxXV0"), "bad-cursor"),
    ],
)
def test_what_cannot_be_asked_is_named(location_database: Database, query: PageQuery, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        MessagePages({"default": location_database}).messages(ROOT, query)
    assert refused.value.code == code


async def test_a_cursor_neither_repeats_nor_skips_what_was_there(
    location_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    messages = await a_dozen(location_database, tmp_path, clock)
    pages = MessagePages({"default": location_database})
    first = pages.messages(ROOT, PageQuery(limit=5))
    clock.advance(3600)
    async with running_store(location_database, tmp_path, clock=clock) as store:
        await store.add(new_message(clock=clock))
    rest = pages.messages(ROOT, PageQuery(limit=50, cursor=first.cursor))
    assert [row.id for row in (*first.items, *rest.items)] == [one.id for one in reversed(messages)]
    assert count(location_database, tables.message) == 13
