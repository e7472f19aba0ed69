"""Metrics of one process, in a registry of its own, and the page that shows them on loopback.

Each process has a port: no multi-process files. No label names a tenant, an account or an address.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_OCTETS = (1e3, 4e3, 1.6e4, 6.4e4, 2.56e5, 1e6, 4e6, 1.6e7, 6.4e7)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_MOST_WORDS = 200
_LONGEST_REQUEST = 8_192
_REQUEST_SECONDS = 5.0


class Words:
    """A counter by one word, where the words come from outside: after the 200th all others are `other`."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[str, Counter] = {}

    def count(self, word: str, amount: int = 1) -> None:
        """Count `amount` under `word`."""
        child = self._children.get(word)
        if child is None:
            if len(self._children) >= _MOST_WORDS:
                word = "other"
            child = self._children.setdefault(word, self._counter.labels(word))
        child.inc(amount)


class SmtpMetrics:
    """What SMTP sessions count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def words(name: str, text: str, label: str) -> Words:
            return Words(Counter(f"gatepost_smtp_{name}", text, [label], registry=registry))

        self._open = Gauge("gatepost_smtp_connections_open", "Connections open now.", registry=registry)
        self._opened = Counter("gatepost_smtp_connections", "Connections let in.", registry=registry)
        self._refused = words("connections_refused", "Connections turned away, by reason.", "reason")
        self._cut = words("connections_cut", "Sessions ended for their client's fault, by reason.", "reason")
        self._logins = words("logins", "Logins decided, by outcome.", "outcome")
        self._tls = Counter("gatepost_smtp_tls_failures", "TLS handshakes that failed.", registry=registry)
        self._failed = Counter(
            "gatepost_smtp_session_failures", "Unexpected exceptions answered with 451.", registry=registry
        )
        self._replies = words("messages_refused", "Messages refused after their last octet, by code.", "code")
        self._seconds = Histogram(
            "gatepost_smtp_accept_seconds",
            "From a message's last octet to our 250.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._octets = Histogram(
            "gatepost_smtp_message_octets", "Size of accepted messages.", buckets=_OCTETS, registry=registry
        )

    def connection_opened(self) -> None:
        """A client was let in."""
        self._opened.inc()
        self._open.inc()

    def connection_closed(self) -> None:
        """Its connection is gone."""
        self._open.dec()

    def connection_refused(self, reason: str) -> None:
        """A client was turned away."""
        self._refused.count(reason)

    def connection_cut(self, reason: str) -> None:
        """A session was ended for its client's fault."""
        self._cut.count(reason)

    def tls_failed(self) -> None:
        """A handshake failed."""
        self._tls.inc()

    def login(self, outcome: str) -> None:
        """A login was decided."""
        self._logins.count(outcome)

    def message_accepted(self, octets: int, seconds: float) -> None:
        """A message was stored; `seconds` from its last octet to our 250."""
        self._octets.observe(octets)
        self._seconds.observe(seconds)

    def message_refused(self, code: int) -> None:
        """A message was refused after its last octet."""
        self._replies.count(str(code))

    def session_failed(self) -> None:
        """An unexpected exception was answered with 451."""
        self._failed.inc()


class IntakeMetrics:
    """What the one door for outgoing mail counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accepted = Words(
            Counter(
                "gatepost_messages_accepted", "Messages stored, by origin.", ["origin"], registry=registry
            )
        )
        self._refused = Words(
            Counter("gatepost_messages_refused", "Messages refused, by rule.", ["rule"], registry=registry)
        )

    def accepted(self, origin: str) -> None:
        """A message was stored."""
        self._accepted.count(origin)

    def refused(self, rule: str) -> None:
        """A message was refused by a rule."""
        self._refused.count(rule)


class QueueMetrics:
    """What the store threads count. Safe from any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._batch = Histogram(
            "gatepost_queue_batch_size", "Pieces of work in one commit.", buckets=_BATCH, registry=registry
        )
        self._commit = Histogram(
            "gatepost_queue_commit_seconds",
            "From taking a batch to its commit.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._rows = Gauge(
            "gatepost_queue_recipients", "Recipients in the queue.", ["location", "state"], registry=registry
        )

    def batch(self, size: int, seconds: float) -> None:
        """A batch of `size` pieces of work was committed."""
        self._batch.observe(size)
        self._commit.observe(seconds)

    def recipients(self, location: str, state: str, count: int) -> None:
        """How many recipients of a location are in a state now."""
        self._rows.labels(location, state).set(count)


class RelayMetrics:
    """What the relay counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = Words(
            Counter(
                "gatepost_relay_outcomes", "Recipients' attempts, by outcome.", ["outcome"], registry=registry
            )
        )
        self._connections = Counter(
            "gatepost_relay_connections", "Connections tried, by result.", ["result"], registry=registry
        )
        self._transactions = Histogram(
            "gatepost_relay_transaction_seconds",
            "How long transactions took.",
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self._octets = Counter("gatepost_relay_octets", "Octets of messages sent on.", registry=registry)

    def outcome(self, kind: str, recipients: int) -> None:
        """So many recipients' attempts ended like this (`delivered`, `deferred` …)."""
        self._outcomes.count(kind, recipients)

    def connection(self, worked: bool) -> None:
        """A connection was opened, or could not be."""
        self._connections.labels("opened" if worked else "failed").inc()

    def transaction(self, seconds: float, octets: int) -> None:
        """One transaction was run."""
        self._transactions.observe(seconds)
        self._octets.inc(octets)


class ProcessMetrics:
    """The process itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Histogram(
            "gatepost_loop_lag_seconds",
            "How late the event loop woke up.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._revision = Gauge(
            "gatepost_control_revision", "The control plane's revision obeyed.", registry=registry
        )
        self._restarts = Gauge(
            "gatepost_process_started_seconds", "When this process started (Unix time).", registry=registry
        )
        self._restarts.set_to_current_time()
        ProcessCollector(registry=registry)

    def loop_lag(self, seconds: float) -> None:
        """The event loop woke up this late."""
        self._lag.observe(seconds)

    def control_revision(self, revision: int) -> None:
        """The revision this process obeys."""
        self._revision.set(revision)


class Metrics:
    """All that one process counts; made by it after the fork and passed down."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.smtp = SmtpMetrics(self.registry)
        self.intake = IntakeMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.relay = RelayMetrics(self.registry)
        self.process = ProcessMetrics(self.registry)

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


async def serve_metrics(metrics: Metrics, listening: socket.socket) -> asyncio.Server:
    """Answer `GET /metrics` on a bound socket until the server given back is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that is slow, gone or talks something else is not our trouble.
        with contextlib.suppress(
            OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(metrics, request))
                await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, sock=listening, limit=_LONGEST_REQUEST)


def _response(metrics: Metrics, request: bytes) -> bytes:
    method, _, rest = request.partition(b" ")
    target = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        status, kind, body = "405 Method Not Allowed", "text/plain", b"only GET and HEAD\n"
    elif target != b"/metrics":
        status, kind, body = "404 Not Found", "text/plain", b"the page is /metrics\n"
    else:
        status, kind, body = "200 OK", CONTENT_TYPE_LATEST, metrics.page()
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if method == b"HEAD" else body)
