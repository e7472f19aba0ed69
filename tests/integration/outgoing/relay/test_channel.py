"""Transactions against a real SMTP server that does what it is told, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from gateway.outgoing.relay.transaction import Unsendable
from tests.integration.outgoing.relay.parts import CONTENT, Watch, codes, connect, mail
from tests.support.sink import DROP, SILENCE, Script, Sink

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    def runs(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return runs


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_message_arrives_octet_for_octet_and_the_connection_is_used_again(
    run: Run, pipelining: bool
) -> None:
    async def work() -> None:
        async with Sink(Script(pipelining=pipelining)) as sink:
            client = await connect(sink)
            watch = Watch()
            first = await client.send(mail("b@example.net", "c@example.net"), watch)
            second = await client.send()
            await client.close()
            assert codes(first) == [250, 250]
            assert (first.accepted, first.unanswered, first.trouble) == ((0, 1), False, None)
            assert watch.dots == [(0, 1)]
            assert codes(second) == [250]
            assert [message.content for message in sink.messages] == [b"X-Sig: 1\r\n" + CONTENT] * 2
            assert sink.messages[0].mail.startswith("FROM:<token@s1.acme.example> SIZE=")
            assert sink.connections == 1
            assert "RSET" not in sink.commands

    run(work())


def test_envelope_and_data_travel_in_one_write_and_the_message_in_a_second(run: Run) -> None:
    async def work() -> None:
        async with Sink() as sink:
            client = await connect(sink)
            before = len(sink.groups)
            await client.send(mail("b@example.net", "c@example.net"))
            await client.close()
            groups = sink.groups[before:]
            assert groups[0].count(b"\r\n") == 4
            assert groups[0].endswith(b"DATA\r\n")
            assert groups[1].endswith(b"\r\n.\r\n")

    run(work())


def test_replies_that_come_octet_by_octet_are_put_together(run: Run) -> None:
    async def work() -> None:
        script = Script(one_octet_replies=True, replies={"DOT": "250-2.0.0 taken\n250-and\n250 kept"})
        async with Sink(script) as sink:
            client = await connect(sink)
            sent = await client.send()
            await client.close()
            [fate] = sent.fates
            assert fate is not None
            assert fate.text == "250 2.0.0 taken and kept"
            assert fate.enhanced == "2.0.0"

    run(work())


@pytest.mark.parametrize("pipelining", [True, False])
def test_some_recipients_refused_the_others_get_the_message(run: Run, pipelining: bool) -> None:
    def rcpt(argument: str, count: int) -> str | None:
        return {1: "550 5.1.1 nobody", 2: "451 4.2.1 later"}.get(count)

    async def work() -> None:
        async with Sink(Script(pipelining=pipelining, replies={"RCPT": rcpt})) as sink:
            client = await connect(sink)
            watch = Watch()
            sent = await client.send(mail("a@x.example", "b@x.example", "c@x.example", "d@x.example"), watch)
            await client.close()
            assert codes(sent) == [250, 550, 451, 250]
            assert watch.dots == [(0, 3)]
            assert len(sink.messages[0].recipients) == 2

    run(work())


@pytest.mark.parametrize("pipelining", [True, False])
def test_all_recipients_refused_nothing_is_sent_and_the_next_transaction_starts_afresh(
    run: Run, pipelining: bool
) -> None:
    async def work() -> None:
        script = Script(
            pipelining=pipelining, replies={"RCPT": lambda _, count: "550 5.1.1 no" if not count else None}
        )
        async with Sink(script) as sink:
            client = await connect(sink)
            refused = await client.send()
            taken = await client.send()
            await client.close()
            assert codes(refused) == [550]
            assert refused.accepted == ()
            assert codes(taken) == [250]
            assert sink.connections == 1
            assert sink.commands.count("RSET") == 1
            assert len(sink.messages) == 1

    run(work())


def test_data_accepted_although_all_recipients_were_refused_ends_with_a_lone_dot(run: Run) -> None:
    """RFC 2920 §3.1."""

    async def work() -> None:
        replies: dict[str, Any] = {
            "RCPT": lambda _, count: "550 5.1.1 no" if not count else None,
            "DATA": "354 go on anyway",
            "DOT": lambda _, count: "554 5.5.1 no valid recipients" if not count else None,
        }
        async with Sink(Script(replies=replies)) as sink:
            client = await connect(sink)
            watch = Watch()
            refused = await client.send(watch=watch)
            taken = await client.send()
            await client.close()
            assert codes(refused) == [550]
            assert watch.dots == []
            assert codes(taken) == [250]
            assert [len(message.content) for message in sink.messages] == [0, len(CONTENT) + 10]

    run(work())


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("reply", ["450 4.7.1 greylisted", "553 5.1.8 who are you"])
def test_a_refused_sender_decides_for_all_recipients(run: Run, pipelining: bool, reply: str) -> None:
    async def work() -> None:
        replies: dict[str, Any] = {
            "MAIL": lambda _, count: reply if not count else None,
            "RCPT": "503 5.5.1 MAIL first",
        }
        async with Sink(Script(pipelining=pipelining, replies=replies)) as sink:
            client = await connect(sink)
            sent = await client.send(mail("a@x.example", "b@x.example"))
            assert codes(sent) == [int(reply[:3])] * 2
            assert client.channel.is_usable
            await client.close()

    run(work())


@pytest.mark.parametrize("pipelining", [True, False])
def test_refused_data_decides_for_the_recipients_that_were_accepted(run: Run, pipelining: bool) -> None:
    async def work() -> None:
        replies: dict[str, Any] = {
            "RCPT": lambda _, count: "550 5.1.1 no" if count == 0 else None,
            "DATA": "452 4.3.1 full",
        }
        async with Sink(Script(pipelining=pipelining, replies=replies)) as sink:
            client = await connect(sink)
            watch = Watch()
            sent = await client.send(mail("a@x.example", "b@x.example"), watch)
            await client.close()
            assert codes(sent) == [550, 452]
            assert watch.dots == []

    run(work())


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_421_before_the_message_defers_all_and_nothing_is_in_doubt(
    run: Run, verb: str, pipelining: bool
) -> None:
    async def work() -> None:
        script = Script(pipelining=pipelining, replies={verb: f"421 4.3.2 closing{DROP}"})
        async with Sink(script) as sink:
            client = await connect(sink)
            sent = await client.send(mail("a@x.example", "b@x.example"))
            assert codes(sent) == [421, 421]
            assert sent.unanswered is False
            assert not client.channel.is_usable
            await client.close()

    run(work())


@pytest.mark.parametrize("end", [f"421 4.3.2 closing{DROP}", DROP])
def test_421_or_a_lost_connection_after_the_final_dot_may_have_been_a_delivery(run: Run, end: str) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"DOT": end})) as sink:
            client = await connect(sink)
            sent = await client.send()
            assert codes(sent) == [421 if end.startswith("421") else None]
            assert sent.unanswered is True
            assert sent.accepted == (0,)
            assert not client.channel.is_usable
            await client.close()

    run(work())


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_connection_lost_before_the_message_leaves_no_doubt(run: Run, verb: str) -> None:
    async def work() -> None:
        async with Sink(Script(replies={verb: DROP})) as sink:
            client = await connect(sink)
            sent = await client.send()
            assert codes(sent) == [None]
            assert sent.trouble is not None
            assert sent.unanswered is False
            await client.close()

    run(work())


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_silence_in_the_envelope_is_ended_by_the_deadline(run: Run, verb: str, pipelining: bool) -> None:
    async def work() -> None:
        async with Sink(Script(pipelining=pipelining, replies={verb: SILENCE})) as sink:
            client = await connect(sink)
            sent = await client.send()
            assert codes(sent) == [None]
            assert sent.trouble == "the peer did not answer in time"
            assert sent.unanswered is False
            await client.close()

    run(work())


def test_silence_after_the_final_dot_is_told_and_then_ended_in_doubt(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"DOT": SILENCE})) as sink:
            client = await connect(sink)
            watch = Watch()
            sent = await client.send(watch=watch)
            assert watch.silences == [(0,)]
            assert codes(sent) == [None]
            assert sent.unanswered is True
            await client.close()

    run(work())


def test_an_answer_after_a_long_silence_still_counts(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"DOT": SILENCE})) as sink:
            client = await connect(sink)
            watch = Watch()
            sending = asyncio.ensure_future(client.send(watch=watch))
            async with asyncio.timeout(5):
                while not watch.silences:
                    await asyncio.sleep(0.01)
            sink.say("250 2.0.0 at last")
            sent = await sending
            assert codes(sent) == [250]
            assert sent.unanswered is False
            assert client.channel.is_usable
            await client.close()

    run(work())


@pytest.mark.parametrize("words", ["421 4.4.2 idle", "250 2.0.0 hello?", "what is this"])
def test_a_peer_that_speaks_unasked_is_left(run: Run, words: str) -> None:
    async def work() -> None:
        async with Sink() as sink:
            client = await connect(sink)
            lost = asyncio.Event()
            client.channel.when_lost = lost.set
            sink.say(words)
            async with asyncio.timeout(5):
                await lost.wait()
            assert not client.channel.is_usable
            await client.close()

    run(work())


@pytest.mark.parametrize("reply", ["garbage", "250x2", "999 what", "2 5", "250-a\n251 b"])
def test_what_is_no_reply_ends_the_connection(run: Run, reply: str) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"MAIL": reply})) as sink:
            client = await connect(sink)
            sent = await client.send()
            assert codes(sent) == [None]
            assert not client.channel.is_usable
            await client.close()

    run(work())


def test_more_replies_than_commands_end_the_connection_but_not_the_result(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"DOT": "250 2.0.0 taken\n250 2.0.0 again"})) as sink:
            client = await connect(sink)
            sent = await client.send()
            assert codes(sent) == [250]
            await sink.until(lambda: sink.open == 0)
            assert not client.channel.is_usable
            await client.close()

    run(work())


def test_a_reply_without_end_is_cut_off(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"MAIL": "250-" + "x" * 100_000})) as sink:
            client = await connect(sink)
            sent = await client.send()
            assert codes(sent) == [None]
            await client.close()

    run(work())


def test_a_large_message_goes_out_in_pieces_and_arrives_whole(run: Run) -> None:
    async def work() -> None:
        async with Sink() as sink:
            client = await connect(sink)
            content = b"Subject: large\r\n\r\n" + b"".join(b".line %d\r\n" % n for n in range(300_000))
            sent = await client.send(mail(content=content))
            await client.close()
            assert codes(sent) == [250]
            assert sink.messages[0].content == b"X-Sig: 1\r\n" + content

    run(work())


def test_a_peer_that_stops_reading_is_given_up_before_the_final_dot(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(read_at_most=100_000)) as sink:
            client = await connect(sink)
            watch = Watch()
            sent = await client.send(mail(content=b"Subject: x\r\n\r\n" + b"y" * 78 * 500_000), watch)
            assert codes(sent) == [None]
            assert sent.unanswered is False
            assert watch.dots == []
            await client.close()

    run(work())


def test_cancelling_a_transaction_cuts_the_connection(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"DATA": SILENCE})) as sink:
            client = await connect(sink)
            sending = asyncio.ensure_future(client.send())
            await sink.until(lambda: "DATA" in sink.commands)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert not client.channel.is_usable
            await sink.until(lambda: sink.open == 0)
            assert sink.messages == []
            await client.close()

    run(work())


def test_what_the_peer_offers_decides_what_is_said(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(extensions=("8BITMIME", "SMTPUTF8", "DSN"))) as sink:
            client = await connect(sink)
            message = mail(eightbit=True, wants_smtputf8=True, envid="QQ+2B1", ret="HDRS")
            await client.send(message)
            await client.close()
            expected = "FROM:<token@s1.acme.example> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1"
            assert sink.messages[0].mail == expected
        async with Sink(Script(extensions=())) as sink:
            client = await connect(sink)
            await client.send(message)
            assert sink.messages[0].mail == "FROM:<token@s1.acme.example>"
            with pytest.raises(Unsendable) as refused:
                await client.send(mail(content="Subject: größe\r\n\r\n".encode(), wants_smtputf8=True))
            assert refused.value.reply.enhanced == "5.6.7"
            with pytest.raises(Unsendable) as refused:
                await client.send(mail(content="Subject: x\r\n\r\ngröße\r\n".encode(), eightbit=True))
            assert refused.value.reply.enhanced == "5.6.3"
            await client.close()

    run(work())
