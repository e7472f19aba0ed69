"""The relay with a real queue: from a stored message to its recorded outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.control.records import SourceRecord
from gateway.outgoing.relay import Bounds, dead_ledgers
from gateway.system.clock import SystemClock
from gateway.system.database import Database
from gateway.system.dns import MxHost
from gateway.system.sharedmemory import SharedSlots
from tests.integration.outgoing.queue.parts import CONTENT, SIGNATURES, events_of, recipients_of, states_of
from tests.integration.outgoing.relay.world import Control, world
from tests.support.sink import DROP, SILENCE, Script


async def test_a_handed_over_message_is_delivered_under_its_return_path(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path) as here:
        stored = await here.put("b@example.net", "c@example.net")
        await here.until_states(location_database, "delivered", "delivered")
        [message] = here.sink.messages
        assert message.content.startswith(b"DKIM-Signature: v=1; ...\r\nFrom: a@acme.example")
        assert message.recipients == ["TO:<b@example.net>", "TO:<c@example.net>"]
        assert "@s1.acme.example> SIZE=" in message.mail
        assert "EHLO gate.example" in here.sink.commands
        assert events_of(location_database, stored.id).count("delivered") == 2
        assert here.relay.reserve("tenant-1", 1000)


async def test_a_message_that_found_no_memory_is_claimed(location_database: Database, tmp_path: Path) -> None:
    async with world(location_database, tmp_path) as here:
        for _ in range(3):
            await here.put(hand_over=False)
        await here.until_states(location_database, *["delivered"] * 3)
        assert len(here.sink.messages) == 3


async def test_a_refused_recipient_is_bounced_and_reported_in_the_same_breath(
    location_database: Database, tmp_path: Path
) -> None:
    def rcpt(argument: str, count: int) -> str | None:
        return "550 5.1.1 nobody here" if "nobody" in argument else None

    async with world(location_database, tmp_path, Script(replies={"RCPT": rcpt})) as here:
        stored = await here.put("b@example.net", "nobody@example.net")
        await here.until(lambda: len(here.reports) == 1)
        await here.until(lambda: states_of(location_database, stored.id) == ["delivered", "bounced"])
        [report] = here.reports
        [failed] = report.recipients
        assert (failed.address, failed.action, failed.status) == ("nobody@example.net", "failed", "5.1.1")
        assert failed.diagnostic == "550 5.1.1 nobody here"
        assert report.content.startswith(b"From: a@acme.example")
        row = recipients_of(location_database, stored.id)[1]
        assert row.last_reply == "550 5.1.1 nobody here"


async def test_the_null_reverse_path_gets_no_report_and_stays_null(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path, Script(replies={"DOT": "554 5.6.0 no"})) as here:
        await here.put(reverse_path="")
        await here.until_states(location_database, "bounced")
        assert here.reports == []
        assert here.sink.messages[0].mail.startswith("FROM:<> ")


async def test_a_lost_final_reply_is_deferred_and_called_a_possible_duplicate(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path, Script(replies={"DOT": DROP})) as here:
        stored = await here.put()
        await here.until_states(location_database, "waiting")
        assert "possible_duplicate" in events_of(location_database, stored.id)
        [row] = recipients_of(location_database)
        assert row.next_attempt_at is not None


async def test_an_unanswered_final_dot_is_unknown_until_the_answer_comes(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path, Script(replies={"DOT": SILENCE})) as here:
        await here.put()
        await here.until_states(location_database, "unknown")
        here.sink.say("250 2.0.0 at last")
        await here.until_states(location_database, "delivered")


async def test_capture_writes_one_file_a_transaction_with_the_envelope_on_top(
    location_database: Database, tmp_path: Path
) -> None:
    control = Control()
    control.change_shard(route="capture:")
    async with world(location_database, tmp_path, control=control) as here:
        stored = await here.put("b@example.net", "c@example.net", "d@other.example")
        await here.until_states(location_database, *["delivered"] * 3)
        captured = tmp_path / "captured"
        assert sorted(path.name for path in captured.iterdir()) == [
            f"{stored.id}-1-1.eml",
            f"{stored.id}-2-1.eml",
        ]
        texts = [path.read_bytes() for path in captured.iterdir()]
        [two] = [text for text in texts if b"c@example.net" in text]
        lines = two.split(b"\r\n")
        assert lines[0].startswith(b"X-Gatepost-Envelope-From: ")
        assert lines[0].endswith(b"@s1.acme.example")
        assert lines[1:3] == [
            b"X-Gatepost-Envelope-To: b@example.net",
            b"X-Gatepost-Envelope-To: c@example.net",
        ]
        assert b"\r\n".join(lines[3:]) == SIGNATURES.header + CONTENT
        assert here.sink.connections == 0


async def test_a_capture_folder_that_cannot_be_written_defers(
    location_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    control = Control()
    control.change_shard(route=f"capture:{tmp_path}/file/below")
    async with world(location_database, tmp_path, control=control) as here:
        stored = await here.put()
        await here.until_states(location_database, "waiting")
        [row] = recipients_of(location_database, stored.id)
        assert row.last_reply.startswith("451 4.3.0 the capture folder cannot be written")


async def test_non_production_mail_is_captured_but_for_allowed_recipients(
    location_database: Database, tmp_path: Path
) -> None:
    control = Control()
    control.change_shard(environment="staging")
    allowed = {"allowed_recipients": frozenset({"tester@example.net"})}
    async with world(location_database, tmp_path, control=control, settings=allowed) as here:
        await here.put("b@example.net", "Tester@example.net", environment="staging")
        await here.until_states(location_database, "delivered", "delivered")
        assert [message.recipients for message in here.sink.messages] == [["TO:<Tester@example.net>"]]
        [file] = (tmp_path / "captured").iterdir()
        assert b"X-Gatepost-Envelope-To: b@example.net" in file.read_bytes()
        assert b"ester@" not in file.read_bytes()


async def test_a_paused_shard_parks_its_mail_until_it_is_resumed(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path) as here:
        here.control.change_shard(state="paused")
        stored = await here.put()
        await here.until_states(location_database, "waiting")
        assert recipients_of(location_database, stored.id)[0].parked == "shard"
        assert here.sink.connections == 0
        here.control.change_shard(state="active")
        here.relay.wake()
        await here.until_states(location_database, "delivered")


async def test_a_suspended_tenants_mail_is_parked_and_others_go_on(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path) as here:
        here.control.change_tenant(status="suspended")
        mine = await here.put()
        other = await here.put(tenant_id="tenant-2", shard_id="shard-2")
        await here.until_states(location_database, "delivered", message_id=other.id)
        await here.until_states(location_database, "waiting", message_id=mine.id)
        assert recipients_of(location_database, mine.id)[0].parked == "tenant"
        here.control.change_tenant(status="active")
        here.relay.wake()
        await here.until_states(location_database, "delivered", message_id=mine.id)


async def test_a_suspended_accounts_mail_waits(location_database: Database, tmp_path: Path) -> None:
    async with world(location_database, tmp_path) as here:
        here.control.suspended_accounts.add("account-1")
        stored = await here.put()
        await here.until_states(location_database, "waiting")
        assert "suspended" in recipients_of(location_database, stored.id)[0].last_reply
        assert here.sink.messages == []


async def test_nothing_leaves_while_the_control_plane_is_not_confirmed(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path) as here:
        here.control.fresh = False
        await here.put()
        here.relay._dispatcher.tick()
        assert states_of(location_database) == ["owned"]
        assert here.sink.connections == 0
        here.control.fresh = True
        await here.until_states(location_database, "delivered")


async def test_signatures_that_no_longer_stand_are_made_again(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path) as here:
        here.control.keys["key-1"].state = "revoked"
        await here.put()
        await here.until_states(location_database, "delivered")
        assert here.sink.messages[0].content.startswith(b"X-Signed-By: key-2\r\nFrom:")


async def test_without_a_key_nothing_leaves_unsigned(location_database: Database, tmp_path: Path) -> None:
    async with world(location_database, tmp_path) as here:
        here.control.keys.clear()
        stored = await here.put()
        await here.until_states(location_database, "waiting")
        assert recipients_of(location_database, stored.id)[0].last_reply.startswith("451 4.7.0 cannot sign")
        assert here.sink.messages == []


async def test_the_shards_own_signature_stands_on_top(location_database: Database, tmp_path: Path) -> None:
    control = Control()
    control.change_shard(sign=True)
    control.keys["key-s"] = SimpleNamespace(id="key-s", state="active", domain_id=None, shard_id="shard-1")
    async with world(location_database, tmp_path, control=control) as here:
        await here.put()
        await here.until_states(location_database, "delivered")
        assert here.sink.messages[0].content.startswith(b"X-Signed-By: key-s\r\n" + SIGNATURES.header)


async def test_a_shard_whose_key_is_not_seen_yet_leaves_it_to_the_domains_signature(
    location_database: Database, tmp_path: Path
) -> None:
    control = Control()
    control.change_shard(sign=True)
    control.keys["key-s"] = SimpleNamespace(id="key-s", state="pending", domain_id=None, shard_id="shard-1")
    async with world(location_database, tmp_path, control=control) as here:
        await here.put()
        await here.until_states(location_database, "delivered")
        assert here.sink.messages[0].content.startswith(SIGNATURES.header)


async def test_an_unreachable_destination_is_tried_once_for_all_that_waits(
    location_database: Database, tmp_path: Path
) -> None:
    script = Script(replies={"GREETING": f"421 4.3.2 not now{DROP}"})
    async with world(location_database, tmp_path, script) as here:
        for _ in range(40):
            await here.put()
        await here.until_states(location_database, *["waiting"] * 40)
        assert here.sink.connections <= 2
        assert "421" in recipients_of(location_database)[0].last_reply


async def test_the_next_host_is_tried_and_the_order_of_preference_kept(
    location_database: Database, tmp_path: Path
) -> None:
    records = {
        ("example.net", "MX"): [MxHost(20, "second.example"), MxHost(10, "first.example")],
        ("first.example", "A"): ["127.0.0.77"],
        ("second.example", "A"): ["127.0.0.1"],
    }
    async with world(location_database, tmp_path, records=records) as here:
        await here.put()
        await here.until_states(location_database, "delivered")
        assert here.sink.connections == 1


@pytest.mark.parametrize(
    ("records", "state", "reply"),
    [
        ({}, "bounced", "550 5.1.2"),
        ({("example.net", "MX"): [MxHost(0, "")]}, "bounced", "556 5.1.10"),
        ({("example.net", "MX"): None}, "waiting", "451 4.4.3"),
        ({("example.net", "MX"): [MxHost(5, "gate.example")]}, "bounced", "554 5.4.6"),
        ({("example.net", "TXT"): [b"x"]}, "bounced", "550 5.4.4"),
    ],
)
async def test_what_dns_says_decides_between_bouncing_and_waiting(
    location_database: Database, tmp_path: Path, records: dict[tuple[str, str], Any], state: str, reply: str
) -> None:
    async with world(location_database, tmp_path, records=records) as here:
        stored = await here.put(reverse_path="")
        await here.until_states(location_database, state)
        assert recipients_of(location_database, stored.id)[0].last_reply.startswith(reply)


async def test_mail_to_addresses_that_are_not_public_is_bounced_unseen(
    location_database: Database, tmp_path: Path
) -> None:
    """The sink listens at 127.0.0.1: where the operator did not allow it, nothing is said to it."""
    async with world(location_database, tmp_path, settings={"allow_private": False}) as here:
        stored = await here.put("b@example.net", "root@[127.0.0.1]")
        await here.until_states(location_database, "bounced", "bounced", message_id=stored.id)
        assert here.sink.commands == []
        replies = sorted(row.last_reply for row in recipients_of(location_database, stored.id))
        assert replies == [
            "550 5.1.2 127.0.0.1 is no public address",
            "550 5.4.4 no mail exchanger of example.net has a public address",
        ]


async def test_connections_are_bounded_reused_and_renewed(
    location_database: Database, tmp_path: Path
) -> None:
    settings = {"connections": 3, "bounds": Bounds(messages_a_connection=10, idle_seconds=1.0)}
    async with world(location_database, tmp_path, settings=settings) as here:
        await asyncio.gather(*(here.put() for _ in range(60)))
        await here.until_states(location_database, *["delivered"] * 60)
        assert here.sink.most_open <= 3
        assert 6 <= here.sink.connections <= 9
        counts = Counter(message.connection for message in here.sink.messages)
        assert max(counts.values()) <= 10


async def test_an_idle_connection_is_given_up(location_database: Database, tmp_path: Path) -> None:
    settings = {"bounds": Bounds(idle_seconds=0.2)}
    async with world(location_database, tmp_path, settings=settings) as here:
        await here.put()
        await here.until_states(location_database, "delivered")
        await here.sink.until(lambda: here.sink.open == 0)
        assert here.sink.commands[-1] == "QUIT"
        await here.put()
        await here.until_states(location_database, "delivered", "delivered")


async def test_two_processes_share_the_connections_of_a_destination(
    location_database: Database, tmp_path: Path
) -> None:
    slots = SharedSlots(64, 2)
    for _ in range(2):
        assert slots.acquire(1, "relay\0shard-1\0example.net", 3)
    settings = {"connections": 3, "processes": 2, "bounds": Bounds(idle_seconds=3.0)}
    async with world(location_database, tmp_path, slots=slots, settings=settings) as here:
        await asyncio.gather(*(here.put() for _ in range(10)))
        await here.until_states(location_database, *["delivered"] * 10)
        assert here.sink.most_open == 1
        assert slots.acquire(1, "relay\0shard-1\0example.net", 3) is False
        await here.sink.until(lambda: here.sink.open == 0)
    assert slots.held_by(0) == 0
    slots.close()


async def test_a_process_without_a_slot_gets_one_when_it_is_free(
    location_database: Database, tmp_path: Path
) -> None:
    slots = SharedSlots(64, 2)
    assert slots.acquire(1, "relay\0shard-1\0example.net", 1)
    async with world(location_database, tmp_path, slots=slots, settings={"connections": 1}) as here:
        await here.put()
        here.relay._dispatcher.tick()
        assert here.sink.connections == 0
        slots.release(1, "relay\0shard-1\0example.net")
        await here.until_states(location_database, "delivered")
    slots.close()


async def test_a_silent_destination_holds_up_no_other(location_database: Database, tmp_path: Path) -> None:
    def rcpt(argument: str, count: int) -> str | None:
        return SILENCE if "silent" in argument else None

    records = {
        ("example.net", "A"): ["127.0.0.1"],
        ("silent.example", "A"): ["127.0.0.1"],
    }
    async with world(
        location_database, tmp_path, Script(replies={"RCPT": rcpt}), records=records, drain_seconds=0.2
    ) as here:
        for _ in range(20):
            await here.put("b@silent.example")
        after = [await here.put() for _ in range(5)]
        for stored in after:
            await here.until_states(location_database, "delivered", message_id=stored.id)


async def test_too_many_recipients_go_on_in_the_next_transaction_at_once(
    location_database: Database, tmp_path: Path
) -> None:
    def rcpt(argument: str, count: int) -> str | None:
        return "452 4.5.3 too many recipients" if count % 3 == 2 else None

    async with world(location_database, tmp_path, Script(replies={"RCPT": rcpt})) as here:
        stored = await here.put(*(f"r{n}@example.net" for n in range(6)))
        await here.until_states(location_database, *["delivered"] * 6, message_id=stored.id)
        assert len(here.sink.messages) >= 2


async def test_more_than_a_hundred_recipients_are_split(location_database: Database, tmp_path: Path) -> None:
    async with world(location_database, tmp_path) as here:
        await here.put(*(f"r{n}@example.net" for n in range(150)))
        await here.until_states(location_database, *["delivered"] * 150)
        assert sorted(len(message.recipients) for message in here.sink.messages) == [50, 100]


async def test_success_is_reported_by_us_only_if_the_peer_will_not(
    location_database: Database, tmp_path: Path
) -> None:
    wanted = {"notify": frozenset({"SUCCESS"})}
    async with world(location_database, tmp_path, Script(extensions=("SIZE 0",))) as here:
        await here.put(recipient=wanted)
        await here.until(lambda: len(here.reports) == 1)
        assert here.reports[0].recipients[0].action == "relayed"
        assert here.reports[0].recipients[0].status == "2.0.0"
    async with world(location_database, tmp_path / "second") as here:
        stored = await here.put(recipient=wanted)
        await here.until_states(location_database, "delivered", message_id=stored.id)
        assert here.reports == []
        assert here.sink.messages[-1].recipients == ["TO:<b@example.net> NOTIFY=SUCCESS"]


async def test_a_failure_that_cannot_be_reported_is_not_final(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path, Script(replies={"RCPT": "550 5.1.1 no"})) as here:

        def unable(request: object) -> None:
            raise RuntimeError("no key for the platform")

        here.write_report = unable  # type: ignore[assignment,method-assign]
        stored = await here.put()
        await here.until_states(location_database, "waiting")
        [row] = recipients_of(location_database, stored.id)
        assert row.next_attempt_at is not None
        assert row.last_reply == "550 5.1.1 no"


async def test_old_mail_expires_with_a_report_and_a_delay_is_told_once(
    location_database: Database, tmp_path: Path
) -> None:
    now = SystemClock().now()
    script = Script(replies={"RCPT": "450 4.2.0 later"})
    async with world(location_database, tmp_path, script) as here:
        late = await here.put(received_at=now - 4 * 3600)
        over = await here.put("c@example.net", received_at=now - 80 * 3600, give_up_at=now - 1)
        await here.until_states(location_database, "waiting", message_id=late.id)
        await here.until_states(location_database, "expired", message_id=over.id)
        await here.until(lambda: len(here.reports) == 2)
        actions = {report.message.id: report.recipients[0] for report in here.reports}
        assert (actions[late.id].action, actions[late.id].status) == ("delayed", "4.2.0")
        assert (actions[over.id].action, actions[over.id].status) == ("failed", "4.4.7")
        assert actions[over.id].diagnostic == "450 4.2.0 later"
        assert bool(recipients_of(location_database, late.id)[0].delay_notified)


async def test_draining_hands_back_what_waits_and_what_was_not_finished(
    location_database: Database, tmp_path: Path
) -> None:
    script = Script(replies={"RCPT": SILENCE})
    settings = {"connections": 1}
    async with world(location_database, tmp_path, script, settings=settings, drain_seconds=0.2) as here:
        for _ in range(3):
            await here.put()
        await here.sink.until(lambda: any(line.startswith("RCPT") for line in here.sink.commands))
        await here.relay.drain(0.2)
        assert states_of(location_database) == ["ready"] * 3
        assert [row.attempts for row in recipients_of(location_database)] == [0, 0, 0]


async def test_draining_past_a_final_dot_is_a_deferral_in_doubt(
    location_database: Database, tmp_path: Path
) -> None:
    script = Script(replies={"DOT": SILENCE})
    async with world(location_database, tmp_path, script) as here:
        stored = await here.put()
        await here.sink.until(lambda: len(here.sink.messages) == 1)
        await here.relay.drain(0.2)
        assert states_of(location_database) == ["waiting"]
        assert "possible_duplicate" in events_of(location_database, stored.id)
        assert list((tmp_path / "run").iterdir()) == []


async def test_the_ledger_names_what_is_past_its_final_dot_and_nothing_else(
    location_database: Database, tmp_path: Path
) -> None:
    def rcpt(argument: str, count: int) -> str | None:
        return "550 5.1.1 no" if "nobody" in argument else None

    script = Script(replies={"DOT": lambda _, count: None if count == 0 else SILENCE, "RCPT": rcpt})
    settings = {"connections": 1}
    async with world(location_database, tmp_path, script, settings=settings, drain_seconds=0.2) as here:
        first = await here.put()
        await here.until_states(location_database, "delivered", message_id=first.id)
        second = await here.put("nobody@example.net", "b@example.net", reverse_path="")
        await here.sink.until(lambda: len(here.sink.messages) == 2)
        [file] = (tmp_path / "run").glob("*.ledger")
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / file.name).write_bytes(file.read_bytes())
        [dead] = dead_ledgers(copy)
        assert dead.incarnation == here.store.incarnation
        assert [(mark.message_id, mark.n) for mark in dead.marks] == [(second.id, 2)]
        assert dead_ledgers(tmp_path / "run") == ()


async def test_a_backlog_in_the_database_is_carried_without_waiting_for_the_clock(
    location_database: Database, tmp_path: Path
) -> None:
    async with world(location_database, tmp_path, started=False) as here:
        for _ in range(6):
            await asyncio.gather(*(here.put(hand_over=False) for _ in range(150)))
        here.relay.start()
        await here.sink.until(lambda: len(here.sink.messages) >= 900, 30)
        assert len(here.sink.messages) == 900


async def test_a_backlog_for_a_silent_destination_holds_up_no_other_lane_of_its_tenant(
    location_database: Database, tmp_path: Path
) -> None:
    def rcpt(argument: str, count: int) -> str | None:
        return SILENCE if "silent" in argument else None

    records = {("example.net", "A"): ["127.0.0.1"], ("silent.example", "A"): ["127.0.0.1"]}
    script = Script(replies={"RCPT": rcpt})
    async with world(
        location_database, tmp_path, script, records=records, started=False, drain_seconds=0.2
    ) as here:
        for _ in range(6):
            await asyncio.gather(*(here.put("b@silent.example", hand_over=False) for _ in range(200)))
        others = await asyncio.gather(*(here.put(hand_over=False) for _ in range(30)))
        here.relay.start()
        await here.sink.until(lambda: len(here.sink.messages) == len(others), 30)
        assert states_of(location_database).count("owned") < 1000


@pytest.mark.parametrize("end", [DROP, f"421 4.4.2 idle too long{DROP}"])
async def test_a_connection_that_was_closed_while_idle_costs_no_attempt(
    location_database: Database, tmp_path: Path, end: str
) -> None:
    script = Script(replies={"MAIL": lambda _, count: end if count == 1 else None})
    async with world(location_database, tmp_path, script, settings={"connections": 1}) as here:
        for _ in range(2):
            stored = await here.put()
            await here.until_states(location_database, "delivered", message_id=stored.id)
        assert here.sink.connections == 2
        assert [row.attempts for row in recipients_of(location_database)] == [1, 1]


async def test_a_shard_that_changed_gets_fresh_connections(
    location_database: Database, tmp_path: Path
) -> None:
    source = SourceRecord("source-1", "127.0.0.5", None, "out1.gate.example", "default")
    async with world(location_database, tmp_path) as here:
        here.control.change_shard(source=source)
        first = await here.put()
        await here.until_states(location_database, "delivered", message_id=first.id)
        here.control.change_shard(source=replace(source, ipv4="127.0.0.6", helo="out2.gate.example"))
        second = await here.put()
        await here.until_states(location_database, "delivered", message_id=second.id)
        assert here.sink.peers == ["127.0.0.5", "127.0.0.6"]
        assert "EHLO out2.gate.example" in here.sink.commands
