"""Many sessions together: ceilings, changes of the control plane, certificates, the end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from gateway.control.credentials.signin import Accepted, Denied, SignInOutcome
from gateway.control.directory import RELOADED, Change, RefusedReason
from gateway.control.policies.effective import Limit
from gateway.edges.smtp.limits import SessionLimits
from gateway.edges.submission.edge import SubmissionEdge
from gateway.edges.submission.server import SubmissionServer
from tests.integration.edges.conftest import Edge, server_context
from tests.integration.edges.dialogue import MESSAGE, Dialogue, plain_token
from tests.integration.edges.doubles import make_identity

FINAL = [reason for reason in RefusedReason if reason is not RefusedReason.UNAVAILABLE]


class TestCeilings:
    """Connections per address, per process, per account."""

    @pytest.fixture
    def limits(self) -> SessionLimits:
        return SessionLimits(connections_per_address=3, connections=5)

    @pytest.mark.parametrize("tls", [False, True])
    async def test_per_address(self, edge: Edge, tls: bool) -> None:
        opened = [await (edge.secured() if tls else edge.plain()) for _ in range(3)]
        turned_away = await edge._open(
            edge.tls_port if tls else edge.port, edge.client_context if tls else None, False
        )
        assert (await turned_away.rest()).startswith("421 4.7.0 mail.gateway.test your address has 3 ")
        assert ("connection_refused", "address_limit") in edge.metrics.calls
        await opened[0].close()
        await edge.until(lambda: edge.slots.held_by(1) == 2)
        again = await edge.plain()
        await again.expect(b"NOOP", "250")

    async def test_other_processes_count(self, edge: Edge) -> None:
        assert edge.slots.acquire(0, "address:127.0.0.1", 10)
        assert edge.slots.acquire(0, "address:127.0.0.1", 10)
        await edge.plain()
        turned_away = await edge.plain(greet=False)
        assert (await turned_away.rest()).startswith("421 4.7.0")
        edge.slots.clear(0)

    async def test_per_account(self, edge: Edge) -> None:
        policy = replace(edge.identity.policy, connections_per_account=Limit(1, "policy tight"))
        edge.directory.change_policy(edge.identity.account.id, policy)
        first = await edge.logged_in()
        second = await edge.secured()
        await second.expect(b"EHLO client.example", "250")
        assert (await second.ask(b"AUTH PLAIN " + plain_token())).startswith(
            "421 4.7.0 mail.gateway.test this account has 1 connections"
        )
        await first.close()
        await edge.until(lambda: edge.slots.held_by(1) == 0)
        await edge.logged_in()


async def test_a_full_process_says_so(edge: Edge) -> None:
    edge.edge = SubmissionEdge(
        replace(edge.edge.host, limits=SessionLimits(connections=2)),
        edge.authenticator, edge.directory, edge.intake, edge.slots, 1,
    )  # fmt: skip
    server = SubmissionServer(edge.edge, submission=edge.sockets[:1])
    edge.server.stop_accepting()
    await server.start()
    await edge.plain()
    await edge.plain()
    third = await edge.plain(greet=False)
    assert (await third.rest()).startswith("421 4.3.2")
    await server.drain(5)


class TestChanges:
    """A change of the control plane bites open sessions: at MAIL, at the end of data, and when idle."""

    @pytest.mark.parametrize("reason", FINAL)
    async def test_at_mail(self, edge: Edge, reason: RefusedReason) -> None:
        client = await edge.logged_in()
        edge.directory.refused[edge.identity.account.id] = reason
        client.send(b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n")
        reply = await client.rest()
        assert reply.startswith("550 5.7.1 ")
        assert reply.split("\r\n")[1].startswith("421 4.7.0 ")
        assert reply.count("\r\n") == 2

    @pytest.mark.parametrize("reason", FINAL)
    async def test_at_the_end_of_data(self, edge: Edge, reason: RefusedReason) -> None:
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        edge.directory.refused[edge.identity.account.id] = reason
        client.send(MESSAGE + b".\r\n")
        reply = await client.rest()
        assert reply.startswith("550 5.7.1 ")
        assert "\r\n421 4.7.0 " in reply
        assert edge.intake.submissions == []

    async def test_an_idle_session_ends_at_once(self, edge: Edge) -> None:
        client = await edge.logged_in()
        other = make_identity("zoe@example.com")
        edge.directory.identities[other.account.id] = other
        edge.authenticator.answer = Accepted(other)
        bystander = await edge.logged_in()
        edge.directory.refuse(edge.identity.account.id, RefusedReason.REVOKED)
        assert (await client.rest()).startswith(
            "421 4.7.0 mail.gateway.test the app password of this session was revoked"
        )
        await bystander.expect(b"NOOP", "250")

    @pytest.mark.parametrize("change", [Change("tenant", "tenant-1", "tenant-1"), Change(RELOADED, "")])
    async def test_a_tenant_falls_with_all_its_sessions(self, edge: Edge, change: Change) -> None:
        clients = [await edge.logged_in() for _ in range(3)]
        edge.directory.refused[edge.identity.account.id] = RefusedReason.TENANT_SUSPENDED
        edge.directory.tell(change)
        for client in clients:
            assert (await client.rest()).startswith("421 4.7.0")

    async def test_a_busy_session_ends_before_its_next_command(self, edge: Edge) -> None:
        edge.intake.hold = asyncio.Event()
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        client.send(MESSAGE + b".\r\n")
        await edge.intake.begun.wait()
        edge.directory.refuse(edge.identity.account.id, RefusedReason.ACCOUNT_SUSPENDED)
        edge.intake.hold.set()
        assert (await client.reply()).startswith("250 2.0.0 queued")
        client.send(b"NOOP\r\n")
        assert (await client.rest()).startswith("421 4.7.0")

    async def test_a_change_that_leaves_the_identity_standing_ends_nothing(self, edge: Edge) -> None:
        client = await edge.logged_in()
        edge.directory.tell(Change("account", edge.identity.account.id, "tenant-1", edge.identity.account.id))
        await client.envelope()
        assert (await client.message()).startswith("250")

    async def test_settings_that_cannot_be_confirmed_are_for_now(self, edge: Edge) -> None:
        client = await edge.ready()
        edge.directory.refused[edge.identity.account.id] = RefusedReason.UNAVAILABLE
        assert (await client.message()).startswith("451 4.3.0")
        for _ in range(25):
            await client.expect(b"MAIL FROM:<ann@example.com>", "451 4.3.0")
        edge.directory.refused.clear()
        await client.envelope()
        assert (await client.message()).startswith("250")

    async def test_what_is_not_in_memory_is_read(self, edge: Edge) -> None:
        client = await edge.logged_in()
        edge.directory.cold = True
        await client.envelope()
        assert (await client.message()).startswith("250")
        edge.directory.away = True
        await client.expect(b"MAIL FROM:<ann@example.com>", "451 4.3.0")
        edge.directory.away = False
        await client.expect(b"MAIL FROM:<ann@example.com>", "250")

    async def test_a_new_policy_holds_from_the_next_message_on(self, edge: Edge) -> None:
        client = await edge.logged_in()
        policy = replace(edge.identity.policy, message_bytes=Limit(20, "policy tiny"))
        edge.directory.change_policy(edge.identity.account.id, policy)
        await client.envelope()
        assert (await client.message()).startswith("552 5.3.4")

    async def test_identity_is_asked_at_mail_and_at_the_end_of_data(self, edge: Edge) -> None:
        client = await edge.logged_in()
        before = edge.directory.asked
        await client.envelope(b"a@example.net", b"b@example.net")
        assert edge.directory.asked == before + 1
        await client.message()
        assert edge.directory.asked == before + 2


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (SignInOutcome.WRONG_CREDENTIALS, "535 5.7.8 authentication failed"),
        (SignInOutcome.REVOKED, "535 5.7.8 authentication failed"),
        (SignInOutcome.PROTOCOL_OFF, "535 5.7.8 this protocol is switched off"),
        (SignInOutcome.EXPIRED, "535 5.7.8 this app password has expired"),
        (SignInOutcome.ACCOUNT_SUSPENDED, "535 5.7.8 the account is suspended"),
        (SignInOutcome.TOO_MANY_GUESSES, "454 4.7.0 too many failed logins"),
        (SignInOutcome.BUSY, "454 4.7.0 too many logins at once"),
        (SignInOutcome.UNAVAILABLE, "454 4.7.0 logins cannot be checked"),
    ],
)
async def test_denials_in_the_authenticators_words(edge: Edge, reason: SignInOutcome, expected: str) -> None:
    edge.authenticator.answer = Denied(reason)
    client = await edge.secured()
    await client.expect(b"EHLO client.example", "250")
    assert (await client.ask(b"AUTH PLAIN " + plain_token())).startswith(expected)
    assert edge.log.named("login_denied") == [
        {"reason": reason.value, "protocol": "smtp", "address": "127.0.0.1"}
    ]


class TestEnd:
    """Draining."""

    async def test_idle_sessions_hear_421_and_nobody_is_let_in(self, edge: Edge) -> None:
        clients = [await edge.plain(), await edge.secured(), await edge.logged_in(), await edge.ready()]
        assert await edge.server.drain(5)
        for client in clients:
            assert (await client.rest()) == "421 4.3.2 mail.gateway.test is being restarted; come again\r\n"
        assert len(edge.registry) == 0

    async def test_a_message_under_way_is_finished(self, edge: Edge) -> None:
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        client.send(MESSAGE)
        await client.writer.drain()
        (session,) = edge.registry
        await edge.until(lambda: session._buffer == MESSAGE)  # type: ignore[attr-defined]
        drained = asyncio.ensure_future(edge.server.drain(30))
        await edge.until(lambda: session._last_word is not None)  # type: ignore[attr-defined]
        assert not drained.done()
        client.send(b".\r\nMAIL FROM:<ann@example.com>\r\n")
        reply = await client.rest()
        assert reply.split("\r\n")[0] == "250 2.0.0 queued as message1"
        assert reply.split("\r\n")[1].startswith("421 4.3.2")
        assert await drained

    async def test_a_commit_under_way_is_finished(self, edge: Edge) -> None:
        edge.intake.hold = asyncio.Event()
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        client.send(MESSAGE + b".\r\n")
        await edge.intake.begun.wait()
        drained = asyncio.ensure_future(edge.server.drain(30))
        (session,) = edge.registry
        await edge.until(lambda: session._last_word is not None)  # type: ignore[attr-defined]
        edge.intake.hold.set()
        reply = await client.rest()
        assert reply.startswith("250 2.0.0 queued as message1\r\n421 4.3.2")
        assert await drained

    async def test_who_does_not_finish_is_dropped(self, edge: Edge) -> None:
        client = await edge.ready()
        await client.expect(b"DATA", "354")
        assert not await edge.server.drain(0.05)
        assert await client.rest() == ""
        assert len(edge.registry) == 0

    async def test_the_sockets_stay_open_for_the_next_process(self, edge: Edge) -> None:
        await edge.server.drain(5)
        waiting = await asyncio.open_connection("127.0.0.1", edge.port)  # into the kept socket's backlog
        edge.registry.draining = False
        successor = SubmissionServer(edge.edge, submission=edge.sockets[:1])
        await successor.start()
        client = Dialogue(*waiting)
        assert (await client.reply()).startswith("220 ")
        await client.close()
        await successor.drain(5)


async def served_name(edge: Edge, *, starttls: bool) -> str:
    client = await (edge.plain() if starttls else edge.secured())
    if starttls:
        await client.start_tls(edge.client_context)
    tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()


async def test_a_new_certificate_without_dropping_anybody(
    edge: Edge, certificates: Callable[[str], tuple[Path, Path]]
) -> None:
    old = await edge.logged_in()
    assert await served_name(edge, starttls=False) == "CN=first"
    edge.context = server_context(certificates("second"))
    await edge.server.reload()
    assert await served_name(edge, starttls=False) == "CN=second"
    assert await served_name(edge, starttls=True) == "CN=second"
    await old.envelope()
    assert (await old.message()).startswith("250")


async def test_tls_1_2_is_the_least(edge: Edge, client_context: ssl.SSLContext) -> None:
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = await edge.logged_in()
    await client.envelope()
    await client.message()
    tls = edge.intake.submissions[0].client.tls
    assert tls is not None
    assert tls.startswith("TLSv1.2 ")


def test_a_tls_port_needs_a_certificate() -> None:
    from gateway.edges.smtp.host import SmtpHost
    from gateway.edges.smtp.registry import SessionRegistry
    from gateway.system.clock import ManualClock
    from gateway.system.ids import IdSource

    clock = ManualClock()
    host = SmtpHost("h", SessionLimits(), clock, IdSource(clock), SessionRegistry(clock), None)
    edge = SubmissionEdge(host, None, None, None, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a certificate"):
        SubmissionServer(edge, submissions=[object()])  # type: ignore[list-item]


async def test_ehlo_may_come_before_the_handshake_returned(edge: Edge) -> None:
    """The client's first records may be read with the end of its handshake: none may be lost."""
    for _ in range(30):
        client = await edge.plain()
        await client.start_tls(edge.client_context)
        client.send(b"EHLO client.example\r\n")
        assert (await client.reply()).startswith("250-")
        await client.close()
