"""The relay with a real queue: from a stored message to its recorded outcome."""

from __future__ import annotations

from pathlib import Path

from gateway.system.database import Database
from tests.integration.outgoing.queue.parts import events_of, recipients_of, states_of
from tests.integration.outgoing.relay.world import world
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
