"""Patience: every deadline by a clock that the test moves and a sweep that it calls."""

from __future__ import annotations

import asyncio

import pytest

from gateway.control.credentials.signin import Denied, SignInOutcome
from gateway.edges.submission.session import SubmissionSession
from tests.integration.edges.conftest import Edge
from tests.integration.edges.dialogue import MESSAGE, Dialogue, plain_token


async def is_open(edge: Edge, client: Dialogue) -> bool:
    return (await client.ask(b"NOOP")).startswith("250")


@pytest.mark.parametrize("said", [b"", b"EHLO client.example\r\n"])
async def test_thirty_seconds_to_log_in(edge: Edge, said: bytes) -> None:
    client = await edge.secured()
    client.send(said)
    if said:
        await client.reply()
    edge.sweep(29)
    assert await is_open(edge, client)
    edge.sweep(2)
    assert "421 4.4.2" in await client.rest()
    assert ("connection_cut", "login") in edge.metrics.calls


async def test_commands_do_not_buy_time_before_the_login(edge: Edge) -> None:
    client = await edge.plain()
    for _ in range(4):
        edge.sweep(7)
        assert await is_open(edge, client)
    edge.sweep(7)
    assert (await client.rest()).startswith("421 4.4.2")


async def test_a_slow_password_check_is_not_held_against_the_client(edge: Edge) -> None:
    edge.authenticator.hold = asyncio.Event()
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    client.send(b"AUTH PLAIN " + plain_token() + b"\r\n")
    await edge.authenticator.asking.wait()
    edge.sweep(600)
    edge.authenticator.hold.set()
    assert (await client.reply()).startswith("235")
    edge.sweep(299)
    assert await is_open(edge, client)


async def test_a_denied_client_has_the_rest_of_its_thirty_seconds(edge: Edge) -> None:
    edge.authenticator.hold = asyncio.Event()
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    edge.clock.advance(20)
    client.send(b"AUTH PLAIN " + plain_token(password="wrong") + b"\r\n")
    await edge.authenticator.asking.wait()
    edge.sweep(100)
    edge.authenticator.hold.set()
    assert (await client.reply()).startswith("535")
    edge.sweep(9)
    assert await is_open(edge, client)
    edge.sweep(2)
    assert (await client.rest()).startswith("421 4.4.2")


async def test_five_minutes_idle(edge: Edge) -> None:
    client = await edge.logged_in()
    edge.sweep(299)
    assert await is_open(edge, client)
    edge.sweep(299)
    assert await is_open(edge, client)
    edge.sweep(301)
    assert (await client.rest()).startswith("421 4.4.2")
    assert ("connection_cut", "idle") in edge.metrics.calls


async def test_a_command_that_is_never_ended(edge: Edge) -> None:
    client = await edge.logged_in()
    (session,) = edge.registry
    for octet in b"NOOP":
        client.send(bytes([octet]))
        length = len(session._buffer)  # type: ignore[attr-defined]
        await edge.until(lambda length=length: len(session._buffer) > length)  # type: ignore[attr-defined, misc]
        await asyncio.sleep(0)
        edge.sweep(7)
    edge.sweep(7)
    assert (await client.rest()).startswith("421 4.4.2")
    assert ("connection_cut", "command") in edge.metrics.calls


async def test_a_stream_of_commands_cut_anywhere_is_no_slow_command(edge: Edge) -> None:
    client = await edge.logged_in()
    (session,) = edge.registry
    client.send(b"NO")
    await edge.until(lambda: session._buffer == b"NO")  # type: ignore[attr-defined]
    for _ in range(10):
        edge.sweep(10)
        client.send(b"OP\r\nNO")
        assert (await client.reply()).startswith("250")


async def test_a_message_slower_than_the_least(edge: Edge) -> None:
    client = await edge.ready()
    await client.expect(b"DATA", "354")
    (session,) = edge.registry

    async def send(octets: int) -> None:
        seen = session._octets_in  # type: ignore[attr-defined]
        client.send(b"x" * octets)
        await edge.until(lambda: session._octets_in == seen + octets)  # type: ignore[attr-defined]

    # A fast beginning buys nothing: each window of 30 s has to bring 500 octets a second.
    await send(200_000)
    edge.sweep(31)
    for _ in range(4):
        await send(16_000)
        edge.sweep(31)
    await send(15_000)
    edge.sweep(31)
    assert (await client.rest()).startswith("421 4.4.2")
    assert ("connection_cut", "slow_content") in edge.metrics.calls
    assert edge.intake.submissions == []


async def test_a_chunk_that_never_comes(edge: Edge) -> None:
    client = await edge.ready()
    client.send(b"BDAT 5000 LAST\r\n")
    (session,) = edge.registry
    await edge.until(lambda: session.deadlines.in_content)  # type: ignore[attr-defined]
    edge.sweep(31)
    assert (await client.rest()).startswith("421 4.4.2")


async def test_a_long_upload_at_a_fair_rate_is_not_cut(edge: Edge) -> None:
    client = await edge.ready()
    await client.expect(b"DATA", "354")
    (session,) = edge.registry
    for _ in range(40):
        seen = session._octets_in  # type: ignore[attr-defined]
        client.send(b"y" * 18_000 + b"\r\n")
        await edge.until(lambda seen=seen: session._octets_in > seen + 18_000)  # type: ignore[attr-defined, misc]
        edge.sweep(30)
    client.send(b".\r\n")
    assert (await client.reply()).startswith("250")
    edge.sweep(299)
    assert await is_open(edge, client)


async def test_a_long_commit_is_not_cut(edge: Edge) -> None:
    edge.intake.hold = asyncio.Event()
    client = await edge.ready()
    await client.expect(b"DATA", "354")
    client.send(MESSAGE + b".\r\n")
    await edge.intake.begun.wait()
    edge.sweep(3600)
    edge.intake.hold.set()
    assert (await client.reply()).startswith("250")


async def test_a_client_that_never_reads_is_dropped(edge: Edge) -> None:
    client = await edge.logged_in()
    (session,) = edge.registry
    session.pause_writing()  # type: ignore[attr-defined]
    edge.sweep(59)
    assert len(edge.registry) == 1
    edge.sweep(2)
    await edge.until(lambda: len(edge.registry) == 0)
    assert ("connection_cut", "unread") in edge.metrics.calls
    await client.rest()


@pytest.mark.parametrize(("delay", "waited"), [(0.0, 0.0), (2.5, 2.5), (3600.0, 15.0)])
async def test_a_denial_waits_as_it_is_told_but_not_for_ever(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, delay: float, waited: float
) -> None:
    pauses: list[float] = []

    async def pause(session: SubmissionSession, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(SubmissionSession, "pause", pause)
    edge.authenticator.answer = Denied(SignInOutcome.WRONG_CREDENTIALS, delay)
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    await client.expect(b"AUTH PLAIN " + plain_token(), "535 5.7.8")
    assert pauses == [waited]


async def test_a_denial_ends_its_wait_when_the_client_leaves(edge: Edge) -> None:
    edge.authenticator.answer = Denied(SignInOutcome.WRONG_CREDENTIALS, 3600.0)
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    client.send(b"AUTH PLAIN " + plain_token() + b"\r\n")
    (session,) = edge.registry
    await edge.until(lambda: session._left is not None)  # type: ignore[attr-defined]
    client.reset()
    await edge.until(lambda: len(edge.registry) == 0)  # within 10 s, the delay is 15
