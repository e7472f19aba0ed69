"""What a well-behaved client meets, on both ports."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from gateway.control.policies.effective import Limit
from gateway.edges.smtp.limits import SessionLimits
from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.intake import Origin
from tests.integration.edges.conftest import HOSTNAME, Edge
from tests.integration.edges.dialogue import MESSAGE, plain_token
from tests.integration.edges.doubles import PASSWORD


async def test_a_message_goes_in_over_starttls(edge: Edge) -> None:
    client = await edge.plain()
    hello = await client.expect(b"EHLO client.example", "250")
    assert "STARTTLS" in hello
    assert "AUTH" not in hello
    await client.start_tls(edge.client_context)
    hello = await client.expect(b"EHLO client.example", "250")
    assert "STARTTLS" not in hello
    assert hello.split("\n")[0] == f"250-{HOSTNAME}"
    assert {line[4:] for line in hello.split("\n")[1:]} == {
        "PIPELINING",
        f"SIZE {25 * 1024 * 1024}",
        "AUTH PLAIN LOGIN",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "DSN",
        "SMTPUTF8",
        "CHUNKING",
        "HELP",
    }
    await client.expect(b"AUTH PLAIN " + plain_token(), "235 2.7.0")
    await client.envelope()
    assert await client.message() == "250 2.0.0 queued as message1"
    await client.expect(b"QUIT", "221 2.0.0")
    assert await client.rest() == ""

    (submission,) = edge.intake.submissions
    assert submission.content == MESSAGE
    assert submission.origin is Origin.SUBMISSION
    assert submission.identity is edge.identity
    assert submission.received_at == edge.clock.now()
    assert str(submission.envelope.reverse_path) == "ann@example.com"
    assert [str(each.recipient) for each in submission.envelope.recipients] == ["bob@example.net"]
    client_info = submission.client
    assert (client_info.address, client_info.helo, client_info.protocol) == (
        "127.0.0.1",
        "client.example",
        "ESMTPSA",
    )
    assert client_info.tls is not None
    assert client_info.tls.startswith("TLSv1.3 TLS_")
    assert edge.log.named("message_accepted") == []  # the intake's line is the one of a message
    assert ("message_accepted", len(MESSAGE), 0.0) in edge.metrics.calls


async def test_tls_from_the_start_offers_auth_and_no_starttls(edge: Edge) -> None:
    client = await edge.secured()
    hello = await client.expect(b"EHLO client.example", "250")
    assert "AUTH PLAIN LOGIN" in hello
    assert "STARTTLS" not in hello
    await client.expect(b"STARTTLS", "503 5.5.1")


async def test_a_whole_transaction_in_one_write(edge: Edge) -> None:
    client = await edge.logged_in()
    client.send(
        b"MAIL FROM:<ann@example.com> SIZE=100\r\n"
        b"RCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n"
    )
    assert [(await client.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
    client.send(MESSAGE + b".\r\nMAIL FROM:<ann@example.com>\r\nRSET\r\nNOOP\r\nQUIT\r\n")
    assert [(await client.reply())[:3] for _ in range(5)] == ["250", "250", "250", "250", "221"]
    assert len(edge.intake.submissions[0].envelope.recipients) == 2


async def test_many_messages_on_one_connection(edge: Edge) -> None:
    client = await edge.logged_in()
    for number in range(1, 31):
        client.send(b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
        for code in ("250", "250", "354"):
            assert (await client.reply()).startswith(code)
        client.send(b"Subject: %d\r\n\r\n..dots\r\n.\r\n" % number)
        assert await client.reply() == f"250 2.0.0 queued as message{number}"
    assert edge.intake.submissions[-1].content == b"Subject: 30\r\n\r\n.dots\r\n"


@pytest.mark.parametrize("piece", [1, 7])
async def test_octets_may_come_in_any_pieces(edge: Edge, piece: int) -> None:
    client = await edge.logged_in()
    stream = (
        b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" + b".dot\r\n..\r\n.\r\nQUIT\r\n"
    )
    for start in range(0, len(stream), piece):
        client.send(stream[start : start + piece])
        await client.writer.drain()
    assert [(await client.reply())[:3] for _ in range(5)] == ["250", "250", "354", "250", "221"]
    assert edge.intake.submissions[0].content == b"dot\r\n.\r\n"


async def test_a_message_in_chunks(edge: Edge) -> None:
    client = await edge.ready()
    client.send(b"BDAT 10\r\n0123456789BDAT 0\r\nBDAT 5 LAST\r\nab\r\nc")
    assert await client.reply() == "250 2.0.0 10 octets taken"
    assert await client.reply() == "250 2.0.0 0 octets taken"
    assert await client.reply() == "250 2.0.0 queued as message1"
    assert edge.intake.submissions[0].content == b"0123456789ab\r\nc"
    await client.envelope()
    client.send(b"bdat 3 last\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    assert edge.intake.submissions[1].content == b".\r\n"


async def test_dsn_and_smtputf8_reach_the_intake_as_written(edge: Edge) -> None:
    client = await edge.logged_in()
    await client.expect(
        "MAIL FROM:<änn@exämple.com> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=QQ314159 AUTH=<>".encode(),
        "250 2.1.0",
    )
    await client.expect(
        "RCPT TO:<bøb@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@example.net".encode(),
        "250 2.1.5",
    )
    await client.message()
    envelope = edge.intake.submissions[0].envelope
    assert envelope.smtputf8
    assert (envelope.body, envelope.ret, envelope.envid) == ("8BITMIME", "HDRS", "QQ314159")
    assert envelope.recipients[0].notify == {"SUCCESS", "DELAY"}
    assert envelope.recipients[0].orcpt == "rfc822;Bob+2Bx@example.net"


async def test_the_null_sender_is_the_intakes_to_judge(edge: Edge) -> None:
    client = await edge.logged_in()
    await client.expect(b"MAIL FROM:<>", "250")
    await client.expect(b"RCPT TO:<bob@example.net>", "250")
    await client.message()
    assert edge.intake.submissions[0].envelope.reverse_path is None


async def test_a_held_message_says_so(edge: Edge) -> None:
    edge.intake.held = True
    client = await edge.ready()
    assert await client.message() == "250 2.0.0 queued as message1 held"


async def test_helo_works_too(edge: Edge) -> None:
    client = await edge.secured()
    assert await client.ask(b"HELO old.client") == f"250 {HOSTNAME}"
    await client.expect(b"AUTH PLAIN " + plain_token(), "235")
    await client.envelope()
    assert (await client.message()).startswith("250")


@pytest.mark.parametrize(
    "lines",
    [
        [b"AUTH PLAIN " + plain_token()],
        [b"auth plain " + plain_token()],
        [b"AUTH Plain", plain_token()],
        [b"AUTH PLAIN " + plain_token(authzid="ann@example.com")],
        [b"AUTH PLAIN " + plain_token(authzid="ANN@Example.COM")],
        [b"AUTH PLAIN " + plain_token(login="Ann@EXAMPLE.com")],
        [b"AUTH LOGIN", base64.b64encode(b"ann@example.com"), base64.b64encode(PASSWORD.encode())],
        [b"AUTH login " + base64.b64encode(b"ann@example.com"), base64.b64encode(PASSWORD.encode())],
    ],
)
async def test_every_way_to_log_in(edge: Edge, lines: list[bytes]) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    for line in lines[:-1]:
        await client.expect(line, "334 ")
    await client.expect(lines[-1], "235 2.7.0")
    assert edge.authenticator.asked[0][1:] == (PASSWORD, "127.0.0.1")


async def test_login_asks_for_user_name_and_password(edge: Edge) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    assert await client.ask(b"AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert await client.ask(base64.b64encode(b"ann@example.com")) == "334 UGFzc3dvcmQ6"
    await client.expect(base64.b64encode(PASSWORD.encode()), "235")


async def test_the_intake_refuses_in_its_own_words(edge: Edge) -> None:
    client = await edge.logged_in()
    edge.intake.refuse_sender = Reply(550, "5.7.1", "not an identity of yours")
    assert await client.ask(b"MAIL FROM:<eve@example.com>") == "550 5.7.1 not an identity of yours"
    edge.intake.refuse_sender = None
    await client.expect(b"MAIL FROM:<ann@example.com>", "250")
    edge.intake.refuse_recipient = lambda command: (
        Reply(550, "5.1.1", "no such user") if command.recipient.local == "nobody" else None
    )
    assert await client.ask(b"RCPT TO:<nobody@example.net>") == "550 5.1.1 no such user"
    await client.expect(b"RCPT TO:<bob@example.net>", "250")
    edge.intake.failure = Refusal(Reply(452, "4.7.1", "daily limit of 200 messages reached"), "quota")
    assert await client.message() == "452 4.7.1 daily limit of 200 messages reached"
    assert ("message_refused", 452) in edge.metrics.calls
    await client.expect(b"DATA", "503 5.5.1")
    edge.intake.failure = None
    await client.envelope()
    assert (await client.message()).startswith("250")


async def test_size_is_the_smaller_of_installation_and_policy(edge: Edge) -> None:
    edge.directory.change_policy(
        edge.identity.account.id, replace(edge.identity.policy, message_bytes=Limit(1000, "policy small"))
    )
    client = await edge.logged_in()
    assert "SIZE 1000\n" in await client.expect(b"EHLO again.example", "250")
    assert (await client.ask(b"MAIL FROM:<ann@example.com> SIZE=1001")).startswith("552 5.3.4")
    await client.expect(b"MAIL FROM:<ann@example.com> SIZE=1000", "250")
    await client.expect(b"RCPT TO:<bob@example.net>", "250")
    assert (await client.message(b"x" * 990 + b"\r\n" + b"y" * 10 + b"\r\n")).startswith("552 5.3.4")
    await client.envelope()
    client.send(b"BDAT 900\r\n" + b"x" * 900 + b"BDAT 101 LAST\r\n" + b"x" * 101)
    assert (await client.reply()).startswith("250")
    assert (await client.reply()).startswith("552 5.3.4")
    await client.envelope()
    assert (await client.message(b"x" * 800 + b"\r\n")).startswith("250")


async def test_small_commands(edge: Edge) -> None:
    client = await edge.logged_in()
    await client.expect(b"NOOP", "250 2.0.0")
    await client.expect(b"NOOP anything at all", "250 2.0.0")
    await client.expect(b"RSET", "250 2.0.0")
    await client.expect(b"VRFY ann@example.com", "252 2.0.0")
    await client.expect(b"EXPN list", "502 5.5.1")
    help_text = await client.expect(b"HELP", "214 2.0.0")
    assert "BDAT" in help_text
    assert "EXPN" not in help_text
    assert await client.ask(b"help mail") == "214 2.0.0 MAIL FROM:<address> [parameters]"
    await client.expect(b"quit", "221 2.0.0")


class TestLimits:
    """With small ceilings."""

    @pytest.fixture
    def limits(self) -> SessionLimits:
        return SessionLimits(message_octets=200_000, recipients=3, commands=20)

    async def test_recipients(self, edge: Edge) -> None:
        client = await edge.ready(b"a@example.net", b"b@example.net", b"c@example.net")
        assert (await client.ask(b"RCPT TO:<d@example.net>")).startswith("452 4.5.3")
        assert (await client.message()).startswith("250")
        assert len(edge.intake.submissions[0].envelope.recipients) == 3

    async def test_commands_end_between_messages(self, edge: Edge) -> None:
        client = await edge.logged_in()
        for _ in range(6):
            await client.envelope()
            await client.message()
        # EHLO and AUTH, and three each for six messages: the 21st command is one too many.
        assert (await client.ask(b"MAIL FROM:<ann@example.com>")).startswith("421 4.7.0")

    async def test_a_large_message_is_swallowed_and_refused(self, edge: Edge) -> None:
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        client.send(b"x" * 70 + b"\r\n")
        for _ in range(40):
            client.send(b"y" * 9_998 + b"\r\n")
            await client.writer.drain()
        client.send(b".\r\n")
        assert (await client.reply()).startswith("552 5.3.4")
        assert edge.intake.submissions == []
        await client.envelope()
        assert (await client.message()).startswith("250")
