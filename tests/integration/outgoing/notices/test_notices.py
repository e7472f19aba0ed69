"""Notices over real databases: to whom, in which form, and once, through crashes and on two nodes."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from functools import partial
from typing import Any, cast

import pytest
import sqlalchemy as sa

from gateway.control.directory import Directory
from gateway.control.events.audited import AuditedEvents
from gateway.control.events.feed import Feed
from gateway.control.events.idents import EventIds
from gateway.control.events.types import EventType
from gateway.control.keys.sealing import open_key
from gateway.control.services import ControlServices
from gateway.outgoing.follower import Follower, Overtaken
from gateway.outgoing.intake.platform import CannotReport, PlatformMail
from gateway.outgoing.notices.kinds import FAMILIES, Draft, Kind, trial_ending
from gateway.outgoing.notices.ledger import MOST_A_DAY
from gateway.outgoing.notices.tables import notice
from gateway.outgoing.notices.templates import Templates
from gateway.outgoing.notices.work import NoticeWords, NoticeWork
from gateway.outgoing.notices.writer import NoticeWriter
from gateway.outgoing.queue import tables
from gateway.outgoing.queue.outbox import location_sources
from gateway.outgoing.queue.outboxrows import loose_row
from gateway.outgoing.signing import KeyCache, Signer
from gateway.system.database import Database
from tests.support.control import MASTER_KEY, OPERATOR, SETTINGS, MakeServices, TickingClock

UPGRADE = "https://gatepost.test/plans"
CONTACT = "ops@acme.test"


class World:
    """A tenant `acme` on the plan `trial`, with one contact and one account."""

    def __init__(self, services: ControlServices, location: Database, clock: TickingClock) -> None:
        self.services, self.location, self.clock = services, location, clock
        sources = [
            AuditedEvents(services.writes.database),
            *location_sources("default", location, EventIds(b"e" * 32)),
        ]
        self.feed = Feed(sources, clock)
        tenant = services.tenants.create(OPERATOR, "acme", plan="trial", contacts=[CONTACT])
        self.acme = tenant.id
        self.account = services.accounts.create(
            OPERATOR, f"anna@{tenant.domains[0]}", tenant="acme", smtp=True
        )
        self.platform = next(one for one in services.tenants.list(OPERATOR) if one.is_platform)
        self.signer = Signer(KeyCache(lambda record: open_key(MASTER_KEY.sealer("dkim"), record)))
        self.work = self.make_work()

    def make_work(self) -> NoticeWork:
        control = self.services.writes.database
        return NoticeWork(
            self.location,
            control,
            Follower("notices", self.feed, self.location, self.clock),
            Templates.load(),
            self.writer,
            NoticeWords(SETTINGS.hostname, UPGRADE),
            self.clock,
        )

    @contextmanager
    def writer(self) -> Iterator[NoticeWriter]:
        directory = Directory(self.services.writes.database, clock=self.clock)
        try:
            directory.refresh()
            mail = PlatformMail(directory, self.signer, lambda domain: domain, SETTINGS.hostname)
            yield NoticeWriter(mail, self.services.writes.ids)
        finally:
            directory.stop()

    def reach(self, percent: int = 90, **data: Any) -> None:
        """The account's daily quota comes to a part of its limit."""
        values = {
            "subject": f"account/{self.account.id}",
            "account_id": self.account.id,
            "scope": "account",
            "metric": "messages",
            "window": "day",
            "limit": 100,
            "value": percent,
            "percent": percent,
            "opens_at": 1_800_057_600.0,
        }
        row = loose_row(EventType.QUOTA_REACHED, self.acme, self.clock.now(), values | data)
        with self.location.write() as connection:
            connection.execute(sa.insert(tables.event), [row])

    def step(self) -> None:
        while self.work.step():
            pass

    def messages(self) -> list[Any]:
        query = sa.select(
            tables.message, tables.message_body.c.content, tables.message_body.c.signature_header
        )
        query = query.join(tables.message_body, tables.message_body.c.message_id == tables.message.c.id)
        with self.location.read() as connection:
            return list(connection.execute(query.order_by(tables.message.c.id)))

    def mail(self) -> list[EmailMessage]:
        parse = partial(email.message_from_bytes, policy=email.policy.SMTP)
        return [cast(EmailMessage, parse(row.content)) for row in self.messages()]

    def recipients(self) -> list[Any]:
        with self.location.read() as connection:
            return list(connection.execute(sa.select(tables.recipient)))


@pytest.fixture
def world(make_services: MakeServices, control_url: str, location_database: Database) -> World:
    clock = TickingClock()
    services = make_services(control_url, clock=clock)
    services.bootstrap()
    return World(services, location_database, clock)


def test_a_quota_notice_names_account_plan_and_where_to_upgrade(world: World) -> None:
    world.reach(90)
    world.step()
    [message] = world.mail()
    assert message["To"] == CONTACT and message["From"] == f"Gatepost <notices@{SETTINGS.hostname}>"
    assert message["Subject"] == f"90 % of 100 messages per day used ({world.account.address})"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert f"The plan free has room for more: {UPGRADE}" in text
    assert "refused until 2027-01-16 00:00 UTC" in text


def test_it_leaves_as_the_platforms_own_mail(world: World) -> None:
    world.reach()
    world.step()
    [row], [recipient] = world.messages(), world.recipients()
    assert (row.reverse_path, row.origin, row.tenant_id) == ("", "system", world.platform.id)
    assert row.from_domain == SETTINGS.hostname and b"d=mx.gatepost.test" in row.signature_header
    [shard] = [one for one in world.services.shards.list(OPERATOR) if one.tenant_id == world.platform.id]
    assert (recipient.shard_id, recipient.state, recipient.address) == (shard.id, "ready", CONTACT)
    assert recipient.notify == "NEVER"
    with world.location.read() as connection:
        assert connection.execute(sa.select(tables.quota_counter)).all() == []
    assert b"\r\n" in row.content and b"\n" not in row.content.replace(b"\r\n", b"")


def test_every_contact_gets_its_own(world: World) -> None:
    world.services.tenants.update(OPERATOR, "acme", contacts=[CONTACT, "jörg@acme.test"])
    world.reach()
    world.step()
    assert {str(one["To"]) for one in world.mail()} == {CONTACT, "jörg@acme.test"}
    assert [row.smtputf8 for row in world.messages()] == [False, True]


def test_a_kind_of_thing_is_told_once_a_day(world: World) -> None:
    for _ in range(3):
        world.reach(90)
    world.step()
    world.reach(90)
    world.step()
    assert len(world.mail()) == 1
    world.reach(100)
    world.step()
    assert len(world.mail()) == 2
    world.clock.advance(86_400)
    world.reach(90)
    world.step()
    assert len(world.mail()) == 3


def test_a_tenant_is_not_written_to_without_end(world: World) -> None:
    for number in range(MOST_A_DAY + 10):
        world.reach(subject=f"account/{number}")
        if number % 7 == 0:
            world.step()
    world.step()
    assert len(world.mail()) == MOST_A_DAY


def test_full_accounts_do_not_silence_what_is_told_of_domains_and_trials(world: World) -> None:
    for number in range(MOST_A_DAY + 1):
        world.reach(subject=f"account/{number}")
    world.step()
    assert len(world.mail()) == MOST_A_DAY
    now = world.clock.now()
    lost = [Draft(Kind.RECORD_LOST, world.acme, f"domain/{number}", now) for number in range(MOST_A_DAY + 1)]
    assert world.work.tell(lost) == MOST_A_DAY
    assert world.work.tell([Draft(Kind.VERIFICATION_FAILED, world.acme, "domain/0", now)]) == 0
    assert world.work.tell([trial_ending(world.acme, now, now + 86_400)]) == 1


def test_every_kind_has_a_family() -> None:
    assert set(FAMILIES) == set(Kind)


def test_who_wants_none_gets_none(world: World) -> None:
    with world.services.writes.change(OPERATOR) as change:
        change.session.execute(sa.text("UPDATE tenants SET notices = :no"), {"no": False})
    world.reach()
    world.step()
    assert world.mail() == []


def test_old_events_are_not_told(world: World) -> None:
    world.reach()
    world.clock.advance(86_500)
    world.step()
    assert world.mail() == []


def test_shards_and_webhooks(world: World) -> None:
    [shard] = [one for one in world.services.shards.list(OPERATOR) if one.tenant_id == world.acme]
    world.services.shards.pause(OPERATOR, shard.id)
    hook, _ = world.services.webhooks.create(OPERATOR, url="https://hooks.acme.test/token-7", tenant="acme")
    world.services.webhooks.disable(hook.id, "the receiver answered 410 Gone")
    world.step()
    subjects = {str(one["Subject"]) for one in world.mail()}
    assert subjects == {
        f"Sending through {shard.name} is paused",
        "Events are no longer sent to hooks.acme.test",
    }
    assert not any(b"token-7" in row.content for row in world.messages())


def test_a_name_cannot_add_a_field_or_a_line(world: World) -> None:
    world.services.tenants.update(OPERATOR, "acme", name="Müller & Söhne: Bcc: x@y.test =?utf-8?q?a?=")
    with world.services.writes.change(OPERATOR) as change:
        # Past every check of a name: whatever stands in the database stays in its line.
        change.session.execute(
            sa.text("UPDATE tenants SET name = :name WHERE id = :id"),
            {"name": "Evil\r\nBcc: victim@example.net\r\n\r\nhello\u202e", "id": world.acme},
        )
    world.work.tell([trial_ending(world.acme, world.clock.now(), world.clock.now())])
    [message] = world.mail()
    assert message["Bcc"] is None
    assert str(message["Subject"]).startswith("The trial of Evil Bcc: victim@example.net hello ends on")
    assert "\nBcc:" not in message.get_content() and "\u202e" not in message.get_content()


def test_a_crash_before_the_commit_repeats_it_and_one_after_it_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.reach()

    def fail(*arguments: object) -> None:
        raise RuntimeError("power failure")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.outgoing.notices.work.insert_message", fail)
        with pytest.raises(RuntimeError):
            world.step()
    with world.location.read() as connection:
        assert connection.execute(sa.select(notice)).all() == []
    world.step()
    world.work = world.make_work()
    world.step()
    assert len(world.mail()) == 1


def test_two_nodes_do_not_both_tell(world: World) -> None:
    world.step()
    other = world.make_work()
    other.step()
    world.reach()
    world.work.step()
    world.reach(100)
    with pytest.raises(Overtaken):
        other.step()
    other.step()
    assert len(world.mail()) == 2


def test_without_a_platform_shard_it_waits(world: World) -> None:
    [shard] = [one for one in world.services.shards.list(OPERATOR) if one.tenant_id == world.platform.id]
    with world.services.writes.change(OPERATOR) as change:
        change.session.execute(
            sa.text("UPDATE shards SET state = 'retired' WHERE id = :id"), {"id": shard.id}
        )
    world.reach()
    with pytest.raises(CannotReport):
        world.step()
    with world.services.writes.change(OPERATOR) as change:
        change.session.execute(sa.text("UPDATE shards SET state = 'active' WHERE id = :id"), {"id": shard.id})
    world.step()
    assert len(world.mail()) == 1


async def test_the_work_goes_on_by_itself(world: World) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(world.work.run(stop))
    world.reach()
    async with asyncio.timeout(20):
        while not world.messages():
            await asyncio.sleep(0.01)
    stop.set()
    await working
