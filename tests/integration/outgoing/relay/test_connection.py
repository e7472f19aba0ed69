"""Opening connections: greetings, TLS in all its ways, logins, source addresses; on both event loops."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.control.shards.route import Credentials
from gateway.outgoing.relay.connection import ConnectFailed
from tests.integration.outgoing.relay.parts import Certificates, codes, connect, mail
from tests.integration.outgoing.relay.test_channel import Run, run
from tests.support.sink import DROP, SILENCE, Script, Sink

__all__ = ["run"]

LOGIN = Credentials("relay", "Secret-password-1")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def tls(certificates: Certificates, **changes: Any) -> Script:
    return Script(tls=certificates.context, **changes)


async def refused(sink: Sink, **approach: Any) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as failure:
        await connect(sink, **approach)
    return failure.value


def test_offered_tls_is_used_whoever_signed_the_certificate(run: Run, certificates: Certificates) -> None:
    async def work() -> None:
        async with Sink(tls(certificates)) as sink:
            client = await connect(sink, host="mx.elsewhere.example")
            assert client.connection.tls is not None
            for _ in range(3):
                assert codes(await client.send(mail(content=b"Subject: x\r\n\r\n" + b"y" * 700_000))) == [250]
            await client.close()
            assert [message.tls for message in sink.messages] == [True] * 3
            assert sink.connections == 1
            assert sink.commands.count("EHLO out.gate.example") == 2

    run(work())


def test_tls_that_fails_is_left_out_in_a_second_try(run: Run, certificates: Certificates) -> None:
    """RFC 7435: opportunistic security falls back to what there would have been without it."""

    async def work() -> None:
        for reply in ("454 4.7.0 TLS not available", f"220 2.0.0 go{DROP}"):
            async with Sink(tls(certificates, replies={"STARTTLS": reply})) as sink:
                client = await connect(sink)
                assert codes(await client.send()) == [250]
                await client.close()
                assert sink.messages[0].tls is False
                assert sink.connections == 2

    run(work())


def test_required_tls_is_verified_against_the_configured_authority(
    run: Run, certificates: Certificates
) -> None:
    async def work() -> None:
        async with Sink(tls(certificates)) as sink:
            client = await connect(sink, security="required", ca_file=certificates.ca_file)
            assert codes(await client.send()) == [250]
            await client.close()
            unknown = await refused(sink, security="required")
            assert unknown.reply.enhanced == "4.7.5"
            assert "certificate" in str(unknown)
            other = await refused(sink, security="required", ca_file=certificates.ca_file, host="mx.example")
            assert "mx.example" in str(other)
            assert len(sink.messages) == 1
        async with Sink() as plain:
            missing = await refused(plain, security="required", ca_file=certificates.ca_file)
            assert "not offered" in str(missing)

    run(work())


def test_implicit_tls_is_verified(run: Run, certificates: Certificates) -> None:
    async def work() -> None:
        async with Sink(tls(certificates, implicit_tls=True)) as sink:
            client = await connect(sink, security="implicit", ca_file=certificates.ca_file)
            assert codes(await client.send()) == [250]
            await client.close()
            assert sink.messages[0].tls is True
            failure = await refused(sink, security="implicit")
            assert failure.reply.enhanced == "4.7.5"

    run(work())


def test_an_authority_file_that_is_missing_defers_and_is_named(run: Run, certificates: Certificates) -> None:
    async def work() -> None:
        async with Sink(tls(certificates)) as sink:
            failure = await refused(sink, security="required", ca_file=Path("/nowhere/ca.pem"))
            assert "/nowhere/ca.pem" in str(failure)

    run(work())


def test_login_and_a_wrong_password_which_is_never_repeated(run: Run, certificates: Certificates) -> None:
    async def work() -> None:
        script = tls(certificates, auth=("relay", "Secret-password-1"))
        async with Sink(script) as sink:
            approach = {"security": "required", "ca_file": certificates.ca_file}
            client = await connect(sink, credentials=LOGIN, **approach)
            assert codes(await client.send()) == [250]
            await client.close()
            assert sink.logins == ["PLAIN tls=True"]
            wrong = Credentials("relay", "Other-password-2")
            failure = await refused(sink, credentials=wrong, **approach)
            assert "535" in str(failure)
            assert "Other-password-2" not in f"{failure!r} {failure.reply.text} {failure.__cause__!r}"

    run(work())


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        ("421 4.3.2 too busy", "421"),
        ("554 5.7.1 go away", "554"),
        (DROP, "4.4.2"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_host_that_does_not_greet_is_not_used(run: Run, greeting: str, words: str) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"GREETING": greeting})) as sink:
            failure = await refused(sink)
            assert failure.reply.code == 451
            assert words in failure.reply.text
            await sink.until(lambda: sink.open == 0)

    run(work())


def test_a_host_without_ehlo_is_greeted_with_helo(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"EHLO": "502 5.5.1 what?"})) as sink:
            client = await connect(sink)
            assert client.channel.features.pipelining is False
            assert codes(await client.send()) == [250]
            await client.close()
            assert "HELO out.gate.example" in sink.commands

    run(work())


def test_a_host_that_refuses_ehlo_for_now_is_not_used(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"EHLO": "450 4.7.1 later"})) as sink:
            assert "450" in str(await refused(sink))

    run(work())


def test_a_closed_port_and_a_foreign_source_address_are_named(run: Run) -> None:
    async def work() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            sink = Sink()
            sink.port = closed.getsockname()[1]
            assert "refused" in str(await refused(sink)).lower()
        async with Sink() as sink:
            failure = await refused(sink, source_ipv4="192.0.2.77")
            assert "192.0.2.77 is not on this machine" in str(failure)

    run(work())


def test_the_shards_source_address_is_the_one_the_peer_sees(run: Run) -> None:
    async def work() -> None:
        async with Sink() as sink:
            client = await connect(sink, source_ipv4="127.0.0.9")
            await client.close()
            assert sink.peers == ["127.0.0.9"]

    run(work())


def test_cancelling_while_connecting_leaves_nothing_open(run: Run) -> None:
    async def work() -> None:
        async with Sink(Script(replies={"GREETING": SILENCE})) as sink:
            connecting = asyncio.ensure_future(connect(sink))
            await sink.until(lambda: sink.open == 1)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await sink.until(lambda: sink.open == 0)

    run(work())


def test_octets_slipped_in_before_the_handshake_are_forgotten(run: Run, certificates: Certificates) -> None:
    """RFC 3207 §4.2: what came in clear before TLS must not be taken for the server's words."""

    async def work() -> None:
        script = tls(certificates, replies={"STARTTLS": "220 2.0.0 go\n250-evil\n250 PIPELINING"})
        async with Sink(script) as sink:
            client = await connect(sink)
            assert codes(await client.send()) == [250]
            await client.close()

    run(work())
