"""What is counted, and the page."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.edges.smtp.host import SmtpMetrics
from gateway.outgoing.relay.settlement import RelayMetrics
from gateway.system.metrics import Metrics, serve_metrics


@asynccontextmanager
async def served(metrics: Metrics) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = await serve_metrics(metrics, listening)
    yield listening.getsockname()[1]
    server.close()
    await server.wait_closed()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_fits_what_sessions_and_relay_ask_for() -> None:
    smtp: SmtpMetrics = Metrics().smtp
    relay: RelayMetrics = Metrics().relay
    smtp.login("accepted")
    relay.outcome("delivered", 2)


def test_counts() -> None:
    metrics = Metrics()
    metrics.smtp.connection_opened()
    metrics.smtp.connection_closed()
    metrics.smtp.connection_refused("draining")
    metrics.smtp.connection_cut("idle")
    metrics.smtp.tls_failed()
    metrics.smtp.session_failed()
    metrics.smtp.message_accepted(2_000, 0.004)
    metrics.smtp.message_refused(552)
    metrics.intake.accepted("submission")
    metrics.intake.refused("sender.scope")
    metrics.queue.batch(3, 0.002)
    metrics.queue.recipients("default", "ready", 7)
    metrics.relay.outcome("delivered", 2)
    metrics.relay.connection(False)
    metrics.relay.transaction(0.2, 100)
    metrics.process.loop_lag(0.001)
    metrics.process.control_revision(12)
    page = metrics.page().decode()
    for line in (
        "gatepost_smtp_connections_open 0.0",
        'gatepost_smtp_connections_refused_total{reason="draining"} 1.0',
        'gatepost_messages_refused_total{rule="sender.scope"} 1.0',
        'gatepost_queue_recipients{location="default",state="ready"} 7.0',
        'gatepost_relay_outcomes_total{outcome="delivered"} 2.0',
        'gatepost_relay_connections_total{result="failed"} 1.0',
        "gatepost_queue_batch_size_sum 3.0",
        "gatepost_control_revision 12.0",
        "process_open_fds",
    ):
        assert line in page


def test_two_have_nothing_in_common() -> None:
    one, other = Metrics(), Metrics()
    one.smtp.tls_failed()
    assert "gatepost_smtp_tls_failures_total 0.0" in other.page().decode()


def test_words_from_outside_are_bounded() -> None:
    metrics = Metrics()
    for number in range(300):
        metrics.intake.refused(f"rule {number}")
        metrics.intake.refused(f"rule {number}")
    page = metrics.page().decode()
    assert page.count("gatepost_messages_refused_total{") == 201
    assert 'gatepost_messages_refused_total{rule="other"} 200.0' in page


@pytest.mark.parametrize(
    ("request_line", "status", "has_body"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK", True),
        (b"GET /metrics?x=1 HTTP/1.0", b"200 OK", True),
        (b"HEAD /metrics HTTP/1.1", b"200 OK", False),
        (b"GET / HTTP/1.1", b"404 Not Found", True),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed", True),
    ],
)
async def test_the_page(request_line: bytes, status: bytes, has_body: bool) -> None:
    async with served(Metrics()) as port:
        answer = await ask(port, request_line + b"\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert bool(answer.partition(b"\r\n\r\n")[2]) is has_body


async def test_odd_clients_are_no_trouble() -> None:
    async with served(Metrics()) as port:
        assert await ask(port, b"x" * 20_000) == b""
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        assert b"200 OK" in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
