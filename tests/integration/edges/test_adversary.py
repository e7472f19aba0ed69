"""What an attacker tries: every case ends in a refusal, never in a message or a stuck session."""

from __future__ import annotations

import asyncio
import base64

import pytest

from gateway.edges.smtp.limits import SessionLimits
from gateway.mail.reply import Refusal, Reply
from tests.integration.edges.conftest import Edge
from tests.integration.edges.dialogue import MESSAGE, plain_token
from tests.integration.edges.doubles import PASSWORD

SENDER = b"MAIL FROM:<ann@example.com>"
EVIL = b"MAIL FROM:<eve@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nevil\r\n"


# Smuggling: what looks like the end of a message to a careless reader, and a second message behind it.

NO_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\n",
    b"\r\n.\r\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n. \r\n",
    b"\n\r.\r\n",
    b"\r\n.\n\r\n",
    b"\r\n.\t\r\n",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\r\n\xc2\xa0.\r\n",
    b"\x0b.\x0b",
    b"\x85.\x85",
]


@pytest.mark.parametrize("fake_end", NO_ENDS, ids=repr)
async def test_only_crlf_dot_crlf_ends_a_message(edge: Edge, fake_end: bytes) -> None:
    client = await edge.ready()
    await client.expect(b"DATA", "354")
    client.send(b"Subject: first\r\n\r\nbody" + fake_end + EVIL + b".\r\n")
    assert (await client.reply()).startswith("250 2.0.0 queued")
    assert await client.ask(b"NOOP") == "250 2.0.0 OK"
    (submission,) = edge.intake.submissions
    assert b"victim@example.net" in submission.content


@pytest.mark.parametrize("fake_end", NO_ENDS, ids=repr)
async def test_chunks_end_by_count_alone(edge: Edge, fake_end: bytes) -> None:
    client = await edge.ready()
    content = b"body\r\n.\r\n" + fake_end + EVIL
    client.send(b"BDAT %d LAST\r\n" % len(content) + content + b"NOOP\r\n")
    assert (await client.reply()).startswith("250 2.0.0 queued")
    assert await client.reply() == "250 2.0.0 OK"
    (submission,) = edge.intake.submissions
    assert submission.content == content


@pytest.mark.parametrize(
    "line",
    [
        b"NOOP\n",
        b"EHLO a\nEHLO b\r\n",
        b"MAIL FROM:<a@example.com>\nRCPT TO:<b@example.net>\r\n",
        b"NOOP\rQUIT\r\n",
        b"\n",
        b"\r\r\n",
    ],
    ids=repr,
)
async def test_a_bare_newline_in_a_command_ends_the_session(edge: Edge, line: bytes) -> None:
    client = await edge.plain()
    client.send(line + b"EHLO client.example\r\n")
    reply = await client.rest()
    assert reply.startswith("500 5.5.2 ")
    assert reply.split("\r\n")[1].startswith("421 4.7.0 ")
    assert len(reply.split("\r\n")) == 3


# STARTTLS


@pytest.mark.parametrize(
    "injected", [b"EHLO evil\r\n", b"NOOP\r\n", b"AUTH PLAIN AAAA\r\n", b"x", b"\r\n", EVIL], ids=repr
)
async def test_plaintext_behind_starttls_is_thrown_away_and_the_session_closed(
    edge: Edge, injected: bytes
) -> None:
    client = await edge.plain()
    await client.expect(b"EHLO client.example", "250")
    client.send(b"STARTTLS\r\n" + injected)
    reply = await client.rest()
    assert reply.startswith("554 5.5.1 ")
    assert "220" not in reply
    assert reply.count("\r\n") == 2
    assert ("connection_cut", "starttls_injection") in edge.metrics.calls


async def test_what_was_said_before_tls_is_forgotten(edge: Edge) -> None:
    client = await edge.plain()
    await client.expect(b"EHLO before.example", "250")
    await client.start_tls(edge.client_context)
    await client.expect(b"AUTH PLAIN " + plain_token(), "503 5.5.1")
    await client.log_in()
    await client.expect(b"STARTTLS", "503 5.5.1")


async def test_starttls_takes_no_argument_and_needs_a_certificate(edge: Edge) -> None:
    client = await edge.plain()
    await client.expect(b"STARTTLS now", "501 5.5.4")
    edge.context = None
    hello = await client.expect(b"EHLO client.example", "250")
    assert "STARTTLS" not in hello
    await client.expect(b"STARTTLS", "454 4.7.0")


async def test_a_failed_handshake_closes_quietly(edge: Edge) -> None:
    client = await edge.plain()
    await client.expect(b"STARTTLS", "220")
    client.send(b"this is no client hello, it is plain text\r\n" * 3)
    await client.rest()
    await edge.until(lambda: len(edge.registry) == 0)
    assert "tls_failed" in edge.metrics.names()
    assert "session_failed" not in edge.metrics.names()


async def test_leaving_within_the_handshake(edge: Edge) -> None:
    client = await edge.plain()
    await client.expect(b"STARTTLS", "220")
    client.reset()
    await edge.until(lambda: len(edge.registry) == 0)


# Before the login


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<ann@example.com>",
        b"RCPT TO:<bob@example.net>",
        b"DATA",
        b"VRFY ann",
        b"EXPN list",
        b"AUTH PLAIN " + plain_token(),
        b"AUTH LOGIN",
    ],
    ids=repr,
)
async def test_without_tls_nothing_but_tls(edge: Edge, line: bytes) -> None:
    client = await edge.plain()
    await client.expect(b"EHLO client.example", "250")
    await client.expect(line, "530 5.7.0")
    assert edge.authenticator.asked == []


@pytest.mark.parametrize(
    "line",
    [b"MAIL FROM:<ann@example.com>", b"RCPT TO:<bob@example.net>", b"DATA", b"VRFY ann", b"EXPN x"],
    ids=repr,
)
async def test_without_a_login_nothing_but_the_login(edge: Edge, line: bytes) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    await client.expect(line, "530 5.7.0")


async def test_a_chunk_before_the_login_is_not_taken_for_commands(edge: Edge) -> None:
    client = await edge.secured()
    client.send(b"EHLO client.example\r\nBDAT %d LAST\r\n" % len(EVIL) + EVIL + b"NOOP\r\n")
    assert (await client.reply()).startswith("250")
    assert (await client.reply()).startswith("530 5.7.0")
    assert await client.reply() == "250 2.0.0 OK"


@pytest.mark.parametrize("size", [65_537, 10**18, 9_999_999_999_999_999_999])
async def test_a_large_chunk_in_vain_ends_the_session(edge: Edge, size: int) -> None:
    client = await edge.secured()
    client.send(b"BDAT %d\r\n" % size + EVIL)
    reply = await client.rest()
    assert reply.startswith("530 5.7.0")
    assert reply.split("\r\n")[1].startswith("421 4.7.0")


# AUTH


def b64(text: bytes) -> bytes:
    return base64.b64encode(text)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"AUTH", "501 5.5.4"),
        (b"AUTH CRAM-MD5", "504 5.5.4"),
        (b"AUTH XOAUTH2 dXNlcj1h", "504 5.5.4"),
        (b"AUTH EXTERNAL =", "504 5.5.4"),
        (b"AUTH PLAIN !!!!", "501 5.5.2"),
        (b"AUTH PLAIN AGFubg", "501 5.5.2"),
        (b"AUTH PLAIN AGFub\xc3\xa9==", "501 5.5.2"),
        (b"AUTH PLAIN =", "501 5.5.2"),
        (b"AUTH PLAIN " + b64(b"one\0two"), "501 5.5.2"),
        (b"AUTH PLAIN " + b64(b"a\0b\0c\0d"), "501 5.5.2"),
        (b"AUTH PLAIN " + b64(b"\0ann@example.com\0\xff\xfe"), "501 5.5.2"),
        (b"AUTH PLAIN " + plain_token() + b" extra", "501 5.5.2"),
        (b"AUTH PLAIN " + plain_token(authzid="bob@example.com"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(authzid="admin"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(login="bob@example.com", authzid="ann@example.com"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(password="wrong"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(password=""), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(login=""), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(login="nobody@example.com"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain_token(login="'; DROP TABLE account; --"), "535 5.7.8"),
        (b"AUTH LOGIN !!!", "501 5.5.2"),
    ],
)
async def test_bad_logins(edge: Edge, line: bytes, code: str) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    await client.expect(line, code)
    await client.expect(b"MAIL FROM:<ann@example.com>", "530 5.7.0")
    await client.expect(b"AUTH PLAIN " + plain_token(), "235")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([b"AUTH PLAIN", b"*"], "501 5.7.0"),
        ([b"AUTH LOGIN", b"*"], "501 5.7.0"),
        ([b"AUTH LOGIN", b64(b"ann@example.com"), b"*"], "501 5.7.0"),
        ([b"AUTH PLAIN", b"not base64"], "501 5.5.2"),
        ([b"AUTH LOGIN", b"not base64"], "501 5.5.2"),
        ([b"AUTH LOGIN", b64(b"ann@example.com"), b"***"], "501 5.5.2"),
        ([b"AUTH LOGIN", b64(b"a\0b"), b64(b"c")], "501 5.5.2"),
        ([b"AUTH LOGIN", b"", b""], "535 5.7.8"),
        ([b"AUTH PLAIN", b""], "501 5.5.2"),
        ([b"AUTH PLAIN", b"A" * 12_400], "500 5.5.6"),
        ([b"AUTH PLAIN", b"MAIL FROM:<ann@example.com>"], "501 5.5.2"),
    ],
)
async def test_bad_login_dialogues(edge: Edge, lines: list[bytes], code: str) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    for line in lines[:-1]:
        await client.expect(line, "334 ")
    await client.expect(lines[-1], code)
    await client.expect(b"AUTH PLAIN " + plain_token(), "235")


async def test_auth_lines_may_be_long_but_not_endless(edge: Edge) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    long_password = b64(b"\0ann@example.com\0" + b"x" * 9_000)
    assert len(long_password) < 12_288 - 20
    await client.expect(b"AUTH PLAIN " + long_password, "535 5.7.8")
    await client.expect(b"AUTH PLAIN " + b"A" * 12_288, "500 5.5.2")
    assert len(edge.authenticator.asked) == 1


async def test_auth_twice_and_inside_a_transaction(edge: Edge) -> None:
    client = await edge.logged_in()
    await client.expect(b"AUTH PLAIN " + plain_token(), "503 5.5.1")
    await client.expect(b"MAIL FROM:<ann@example.com>", "250")
    await client.expect(b"AUTH PLAIN " + plain_token(), "503 5.5.1")


async def test_auth_before_ehlo(edge: Edge) -> None:
    client = await edge.secured()
    await client.expect(b"AUTH PLAIN " + plain_token(), "503 5.5.1")


async def test_guessing_ends_after_five_tries(edge: Edge) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    for number in range(5):
        await client.expect(b"AUTH PLAIN " + plain_token(password=f"guess{number}"), "535 5.7.8")
    assert (await client.rest()).startswith("421 4.7.0")
    assert len(edge.authenticator.asked) == 5


async def test_a_password_is_in_no_log(edge: Edge) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    await client.expect(b"AUTH PLAIN " + plain_token(password="Hunter22secret"), "535")
    edge.authenticator.answer = RuntimeError("boom")
    await client.expect(b"AUTH PLAIN " + plain_token(), "451 4.3.0")
    edge.authenticator.answer = None
    await client.expect(b"AUTH PLAIN " + plain_token(), "235")
    written = repr(edge.log.events)
    for secret in ("Hunter22secret", PASSWORD, plain_token().decode()):
        assert secret not in written


# Order


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([b"RCPT TO:<bob@example.net>"], "503 5.5.1"),
        ([b"DATA"], "503 5.5.1"),
        ([SENDER, b"DATA"], "503 5.5.1"),
        ([SENDER, b"MAIL FROM:<ann@example.com>"], "503 5.5.1"),
        ([SENDER, b"RSET", b"RCPT TO:<bob@example.net>"], "503 5.5.1"),
        ([SENDER, b"EHLO again", b"RCPT TO:<bob@example.net>"], "503 5.5.1"),
        ([SENDER, b"RCPT TO:<bob@example.net>", b"DATA now"], "501 5.5.4"),
        ([b"BDAT 0"], "503 5.5.1"),
        ([SENDER, b"BDAT 0 LAST"], "503 5.5.1"),
        ([SENDER, b"RCPT TO:<b@example.net>", b"BDAT 0", b"DATA"], "503 5.5.1"),
        ([SENDER, b"RCPT TO:<b@example.net>", b"BDAT 0", b"RCPT TO:<c@example.net>"], "503 5.5.1"),
        ([SENDER, b"RCPT TO:<b@example.net>", b"BDAT 0", b"MAIL FROM:<>"], "503 5.5.1"),
        ([SENDER, b"RCPT TO:<b@example.net>", b"BDAT 0", b"RSET", b"BDAT 0 LAST"], "503 5.5.1"),
        ([b"RSET x"], "501 5.5.4"),
        ([b"QUIT x"], "501 5.5.4"),
        ([b"EHLO"], "501 5.5.4"),
        ([b"HELO"], "501 5.5.4"),
        ([b"EHLO two words"], "501 5.5.4"),
        ([b"VRFY"], "501 5.5.4"),
        ([b"BOGUS"], "500 5.5.1"),
        ([b"GET / HTTP/1.1"], "500 5.5.1"),
        ([b""], "500 5.5.2"),
        ([b" NOOP"], "500 5.5.2"),
        ([b"MAIL\tFROM:<ann@example.com>"], "500 5.5.1"),
        ([b"NOOP\0"], "500 5.5.1"),
        ([b"MAIL"], "501 5.5.4"),
        ([b"MAIL TO:<ann@example.com>"], "501 5.5.4"),
        ([b"MAIL FROM:ann@example.com"], "501"),
        ([b"MAIL FROM:<ann@example.com"], "501"),
        ([b"MAIL FROM:<ann@example.com>x"], "501"),
        ([b"MAIL FROM:<a b@example.com>"], "501"),
        ([b"MAIL FROM:<(comment)ann@example.com>"], "501"),
        ([b"MAIL FROM:<@relay.example:ann@example.com>"], "501"),
        ([b"MAIL FROM:<ann@example.com> <eve@example.com>"], "501"),
        ([b"MAIL FROM:<ann\0@example.com>"], "501"),
        ([b"MAIL FROM:<ann@example.com> SIZE=abc"], "501"),
        ([b"MAIL FROM:<ann@example.com> SIZE=1 SIZE=2"], "501"),
        ([b"MAIL FROM:<ann@example.com> SIZE=99999999999999999999"], "552 5.3.4"),
        ([b"MAIL FROM:<ann@example.com> BODY=BINARYMIME"], "501"),
        ([b"MAIL FROM:<ann@example.com> REQUIRETLS"], "555"),
        ([b"MAIL FROM:<ann@example.com> XCLIENT=1"], "555"),
        (["MAIL FROM:<änn@example.com>".encode()], "550 5.6.7"),
        ([b"MAIL FROM:<\xff\xfe@example.com> SMTPUTF8"], "501 5.5.2"),
        ([b"MAIL FROM:<" + b"a" * 500 + b"@example.com>"], "501"),
        ([b"MAIL FROM:<ann@example.com>" + b" " * 2048], "500 5.5.2"),
        ([b"NOOP " + b"x" * 508], "500 5.5.2"),
        ([b"NOOP " + b"x" * 3000], "500 5.5.2"),
        ([SENDER, b"RCPT TO:<>"], "501"),
        ([SENDER, b"RCPT TO:<postmaster>"], "501"),
        ([SENDER, b"RCPT TO:<a@b,c@d>"], "501"),
        ([SENDER, b"RCPT TO:<bob@example.net> NOTIFY=NEVER,SUCCESS"], "501"),
        ([SENDER, b"RCPT TO:<bob@example.net> ORCPT=x"], "501"),
        ([SENDER, "RCPT TO:<bøb@example.net>".encode()], "553 5.6.7"),
        ([b"TURN"], "500 5.5.1"),
        ([b"XCLIENT ADDR=127.0.0.1"], "500 5.5.1"),
        ([b"XFORWARD NAME=x"], "500 5.5.1"),
        ([b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2"], "500 5.5.1"),
        ([b"__INIT__"], "500 5.5.1"),
    ],
)  # fmt: skip
async def test_wrong_commands_are_refused_and_the_session_goes_on(
    edge: Edge, lines: list[bytes], code: str
) -> None:
    client = await edge.logged_in()
    for line in lines[:-1]:
        await client.expect(line, "250")
    await client.expect(lines[-1], code)
    await client.expect(b"RSET", "250")
    await client.envelope()
    assert (await client.message()).startswith("250 2.0.0 queued as message1")


@pytest.mark.parametrize(
    "line",
    [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 1 2", b"BDAT 5 FIRST", b"BDAT 0x10 LAST", b"BDAT " + b"9" * 30],
    ids=repr,
)
async def test_a_chunk_without_a_size_ends_the_session(edge: Edge, line: bytes) -> None:
    client = await edge.ready()
    client.send(line + b"\r\n" + EVIL)
    reply = await client.rest()
    assert reply.startswith("501 5.5.4")
    assert reply.split("\r\n")[1].startswith("421 4.7.0")
    assert edge.intake.submissions == []


async def test_content_behind_a_refused_data_is_not_taken_for_commands(edge: Edge) -> None:
    client = await edge.logged_in()
    await client.expect(b"MAIL FROM:<ann@example.com>", "250")
    client.send(b"DATA\r\n" + EVIL + b".\r\n")
    reply = await client.rest()
    assert reply.startswith("503 5.5.1")
    assert reply.split("\r\n")[1].startswith("421 4.7.0")
    assert edge.intake.submissions == []


async def test_no_recipient_accepted_is_not_the_same_as_none_given(edge: Edge) -> None:
    client = await edge.logged_in()
    await client.expect(b"MAIL FROM:<ann@example.com>", "250")
    await client.expect(b"RCPT TO:<bad", "501")
    await client.expect(b"DATA", "554 5.5.1")


async def test_a_host_name_may_be_odd_but_is_kept_plain(edge: Edge) -> None:
    client = await edge.secured()
    await client.expect(b"EHLO J\xfcrgens-PC;(x)", "250")
    await client.expect(b"AUTH PLAIN " + plain_token(), "235")
    await client.envelope()
    await client.message()
    assert edge.intake.submissions[0].client.helo == "J?rgens-PC??x?"


# Floods


async def test_twenty_errors_end_the_session(edge: Edge) -> None:
    client = await edge.logged_in()
    client.send(b"BOGUS\r\n" * 40)
    reply = await client.rest()
    assert reply.count("500 5.5.1") == 20
    assert reply.count("421 4.7.0") == 1
    assert reply.endswith("closing\r\n")


async def test_refusals_for_now_are_no_errors(edge: Edge) -> None:
    edge.intake.failure = Refusal(Reply(452, "4.7.1", "daily limit reached"), "quota")
    client = await edge.logged_in()
    for _ in range(25):
        await client.envelope()
        assert (await client.message()).startswith("452 4.7.1")
    edge.intake.failure = None
    await client.envelope()
    assert (await client.message()).startswith("250")


@pytest.mark.parametrize("code", [452, 550])
async def test_what_is_pipelined_behind_a_refusal_is_no_error(edge: Edge, code: int) -> None:
    edge.intake.refuse_sender = Reply(code, f"{code // 100}.7.1", "not now")
    client = await edge.logged_in()
    for _ in range(19):
        client.send(SENDER + b"\r\n" + b"RCPT TO:<b@example.net>\r\n" * 3 + b"DATA\r\n")
        assert [(await client.reply())[:3] for _ in range(5)] == [str(code), "503", "503", "503", "503"]
    edge.intake.refuse_sender = None
    await client.envelope()
    assert (await client.message()).startswith("250")


async def test_a_large_chunk_behind_a_refusal_is_swallowed(edge: Edge) -> None:
    edge.intake.refuse_sender = Reply(452, "4.7.1", "daily limit reached")
    client = await edge.logged_in()
    client.send(
        SENDER + b"\r\nRCPT TO:<b@example.net>\r\nBDAT 500000 LAST\r\n" + b"NOOP\r\n" * 83_333 + b"xx"
    )
    assert [(await client.reply())[:3] for _ in range(3)] == ["452", "503", "503"]
    await client.expect(b"NOOP", "250")


async def test_an_endless_group_behind_a_refusal_ends(edge: Edge) -> None:
    edge.intake.refuse_sender = Reply(452, "4.7.1", "daily limit reached")
    client = await edge.logged_in()
    client.send(SENDER + b"\r\n" + b"RCPT TO:<b@example.net>\r\n" * 1100)
    reply = await client.rest()
    assert reply.count("503 5.5.1") == 1002 + 20
    assert "421 4.7.0" in reply


async def test_a_message_forgives_earlier_errors(edge: Edge) -> None:
    client = await edge.logged_in()
    for _ in range(3):
        for _ in range(15):
            await client.expect(b"BOGUS", "500")
        await client.envelope()
        assert (await client.message()).startswith("250")


@pytest.mark.parametrize("line", [b"NOOP", b"RSET", b"EHLO x", b"HELP", b"VRFY a", b"HELO x"])
async def test_commands_that_lead_nowhere_end_the_session(edge: Edge, line: bytes) -> None:
    client = await edge.logged_in()
    client.send((line + b"\r\n") * 150)
    reply = await client.rest()
    assert reply.rstrip().split("\r\n")[-1].startswith("421 4.7.0")
    assert edge.metrics.calls.count(("connection_cut", "junk")) == 1


async def test_an_endless_command_line_costs_no_memory(edge: Edge) -> None:
    client = await edge.plain()
    for _ in range(64):
        client.send(b"x" * 65_536)
        await client.writer.drain()
    (session,) = edge.registry
    await edge.until(lambda: session._octets_in >= 64 * 65_536)  # type: ignore[attr-defined]
    assert len(session._buffer) < 4096  # type: ignore[attr-defined]
    await client.expect(b"", "500 5.5.2")
    await client.expect(b"NOOP", "250")


async def test_a_client_that_does_not_read_is_not_obeyed_further(edge: Edge) -> None:
    client = await edge.logged_in()
    (session,) = edge.registry
    session.pause_writing()  # type: ignore[attr-defined]
    await client.expect(b"NOOP", "250")
    client.send(b"NOOP\r\n")
    await edge.until(lambda: bool(session._buffer))  # type: ignore[attr-defined]
    for _ in range(10):
        await asyncio.sleep(0)
    assert session._buffer == b"NOOP\r\n"  # type: ignore[attr-defined]
    session.resume_writing()  # type: ignore[attr-defined]
    assert (await client.reply()).startswith("250")


# Leaving


async def test_a_reset_within_data_leaves_nothing(edge: Edge) -> None:
    client = await edge.ready()
    await client.expect(b"DATA", "354")
    client.send(MESSAGE)
    await client.writer.drain()
    client.reset()
    await edge.until(lambda: len(edge.registry) == 0)
    assert edge.intake.submissions == []
    assert "session_failed" not in edge.metrics.names()


async def test_a_reset_within_a_chunk_leaves_nothing(edge: Edge) -> None:
    client = await edge.ready()
    client.send(b"BDAT 1000 LAST\r\nhalf")
    await client.writer.drain()
    client.reset()
    await edge.until(lambda: len(edge.registry) == 0)
    assert edge.intake.submissions == []


async def test_leaving_does_not_stop_a_commit(edge: Edge) -> None:
    edge.intake.hold = asyncio.Event()
    client = await edge.ready()
    await client.expect(b"DATA", "354")
    client.send(MESSAGE + b".\r\n")
    await edge.intake.begun.wait()
    client.reset()
    await edge.until(lambda: "connection_closed" in edge.metrics.names())
    assert len(edge.registry) == 1, "a session is over when its command is"
    edge.intake.hold.set()
    await edge.until(lambda: len(edge.registry) == 0)
    assert len(edge.intake.submissions) == 1


async def test_half_closing_without_tls_still_gets_its_replies(edge: Edge) -> None:
    client = await edge.plain()
    client.send(b"EHLO client.example\r\nNOOP\r\nMAIL FR")
    client.writer.write_eof()
    replies = (await client.rest()).split("\r\n")
    assert replies[0].startswith("250-")
    assert replies[-2] == "250 2.0.0 OK"


async def test_connecting_and_leaving(edge: Edge) -> None:
    for _ in range(5):
        client = await edge.plain(greet=False)
        client.reset()
    for _ in range(5):
        client = await edge.plain()
        await client.close()
    await edge.until(lambda: len(edge.registry) == 0)


async def test_what_is_pipelined_behind_quit_is_ignored(edge: Edge) -> None:
    client = await edge.logged_in()
    client.send(b"QUIT\r\n" + EVIL + b".\r\n")
    assert (await client.rest()) == "221 2.0.0 goodbye\r\n"
    assert edge.intake.submissions == []


async def test_early_talkers_are_served_as_postfix_does(edge: Edge) -> None:
    client = await edge.plain(greet=False)
    client.send(b"EHLO client.example\r\n")
    assert (await client.reply()).startswith("220 ")
    assert (await client.reply()).startswith("250-")


async def test_an_unexpected_exception_tells_a_reference_and_no_more(edge: Edge) -> None:
    edge.intake.failure = RuntimeError(f"secret {PASSWORD} in the text")
    client = await edge.ready()
    reply = await client.message()
    reference = reply.rsplit(" ", 1)[1].rstrip(")")
    assert reply == f"451 4.3.0 something went wrong here; try again later (reference {reference})"
    (event,) = edge.log.named("session_failed")
    assert event["reference"] == reference
    assert isinstance(event["exc_info"], RuntimeError)
    edge.intake.failure = None
    await client.envelope()
    assert (await client.message()).startswith("250")


class TestSmall:
    """With a small message limit."""

    @pytest.fixture
    def limits(self) -> SessionLimits:
        return SessionLimits(message_octets=100_000)

    async def test_an_endless_line_in_a_message_costs_no_memory(self, edge: Edge) -> None:
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        (session,) = edge.registry
        for _ in range(100):
            client.send(b"y" * 65_536)
            await client.writer.drain()
        await edge.until(lambda: session._octets_in >= 100 * 65_536)  # type: ignore[attr-defined]
        assert len(session._buffer) < 140_000  # type: ignore[attr-defined]
        client.send(b"\r\n.\r\n")
        assert (await client.reply()).startswith("552 5.3.4")

    async def test_a_chunk_over_every_limit(self, edge: Edge) -> None:
        client = await edge.ready()
        client.send(b"BDAT 100001 LAST\r\n")
        reply = await client.rest()
        assert reply.startswith("552 5.3.4")
        assert reply.split("\r\n")[1].startswith("421 4.7.0")


class TestPatient:
    """With no end to commands that lead nowhere."""

    @pytest.fixture
    def limits(self) -> SessionLimits:
        return SessionLimits(junk_commands=10**9)

    async def test_reading_stops_while_a_command_is_worked_on(self, edge: Edge) -> None:
        edge.intake.hold = asyncio.Event()
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        client.send(MESSAGE + b".\r\n")
        await edge.intake.begun.wait()
        (session,) = edge.registry
        flood = (b"NOOP " + b"x" * 500 + b"\r\n") * 100
        for _ in range(40):
            client.send(flood)
        await edge.until(lambda: session._reading_paused)  # type: ignore[attr-defined]
        assert len(session._buffer) < 1_000_000  # type: ignore[attr-defined]
        edge.intake.hold.set()
        assert (await client.reply()).startswith("250 2.0.0 queued")
        for _ in range(4000):
            assert (await client.reply()) == "250 2.0.0 OK"
