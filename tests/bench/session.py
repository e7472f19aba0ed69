"""What an SMTP session costs by itself: server CPU per message on persistent TLS sessions.

    python -m tests.bench.session [--messages 5000] [--octets 2048] [--connections 10] [--log]
                                  [--loop uvloop|asyncio] [--stock]

The intake keeps nothing. The server runs in this process, its client in another one, which pipelines MAIL,
RCPT and DATA. `--stock` measures aiosmtpd's own class with a handler that keeps nothing, for the ratio (with
`--loop asyncio`: under uvloop its reader stands still); RSA-2048 is timed for comparing machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.control.records import Identity
from gateway.edges.smtp.host import SmtpHost
from gateway.edges.smtp.limits import SessionLimits
from gateway.edges.smtp.registry import SessionRegistry
from gateway.edges.submission.edge import SubmissionEdge
from gateway.edges.submission.server import SubmissionServer
from gateway.mail.envelope import MailCommand, RcptCommand
from gateway.mail.reply import Reply
from gateway.outgoing.intake import Receipt, Submission
from gateway.system.clock import SystemClock
from gateway.system.ids import IdSource
from gateway.system.sharedmemory import SharedSlots
from tests.bench.load import make_message
from tests.integration.edges.conftest import make_certificate, server_context
from tests.integration.edges.dialogue import plain_token
from tests.integration.edges.doubles import FakeAuthenticator, FakeDirectory, make_identity


class NullIntake:
    """Takes everything and keeps nothing; one turn of the loop stands for the commit."""

    def __init__(self) -> None:
        self.taken = 0

    def check_sender(self, identity: Identity, command: MailCommand, client_address: str) -> Reply | None:
        return None

    def check_recipient(
        self,
        identity: Identity,
        accepted: Sequence[RcptCommand],
        recipient: RcptCommand,
        reverse_path: str,
        client_address: str,
    ) -> Reply | None:
        return None

    async def submit(self, submission: Submission) -> Receipt:
        self.taken += 1
        await asyncio.sleep(0)
        return Receipt("06ds3k0000000000000000000g")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """aiosmtpd's name for the same."""
        self.taken += 1
        await asyncio.sleep(0)
        return "250 2.0.0 queued as 06ds3k0000000000000000000g"


class Client:
    """A blocking connection with STARTTLS or TLS from the start."""

    def __init__(self, port: int, context: ssl.SSLContext, starttls: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        if starttls:
            self.stream = self.socket.makefile("rb")
            self.replies(1)
            self.ask(b"EHLO bench.test\r\n")
            self.ask(b"STARTTLS\r\n")
        self.socket = context.wrap_socket(self.socket)
        self.stream = self.socket.makefile("rb")
        if not starttls:
            self.replies(1)
        self.ask(b"EHLO bench.test\r\n")
        self.ask(b"AUTH PLAIN " + plain_token() + b"\r\n")

    def ask(self, line: bytes) -> None:
        self.socket.sendall(line)
        self.replies(1)

    def replies(self, count: int) -> None:
        while count:
            line = self.stream.readline()
            if not line or line[:1] in b"45":
                raise RuntimeError(f"refused: {line!r}")
            count -= line[3:4] == b" "


def run_clients(port: int, plan: argparse.Namespace) -> None:
    """Send the plan's messages over its connections, in turn."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    clients = [Client(port, context, plan.stock) for _ in range(plan.connections)]
    message = make_message("ann@example.com", 1, plan.octets) + b".\r\n"
    for _ in range(plan.messages // plan.connections):
        for client in clients:
            client.socket.sendall(b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n")
        for client in clients:
            client.replies(3)
            client.socket.sendall(message)
        for client in clients:
            client.replies(1)


async def start_ours(
    intake: NullIntake, listener: socket.socket, context: ssl.SSLContext
) -> Callable[[], Awaitable[Any]]:
    clock = SystemClock()
    registry = SessionRegistry(clock)
    log = structlog.get_logger("gateway.submission")
    host = SmtpHost("bench.test", SessionLimits(), clock, IdSource(clock), registry, log, tls=lambda: context)
    directory = FakeDirectory(make_identity())
    edge = SubmissionEdge(host, FakeAuthenticator(directory), directory, intake, SharedSlots(64, 1))
    server = SubmissionServer(edge, submissions=[listener])
    await server.start()
    return lambda: server.drain(1)


async def start_stock(
    intake: NullIntake, listener: socket.socket, context: ssl.SSLContext
) -> Callable[[], Awaitable[Any]]:
    def allow(*_: Any) -> AuthResult:
        return AuthResult(success=True)

    def session() -> SMTP:
        return SMTP(
            intake, hostname="bench.test", tls_context=context, authenticator=allow, enable_SMTPUTF8=True
        )

    server = await asyncio.get_running_loop().create_server(session, sock=listener)

    async def stop() -> None:
        server.close()

    return stop


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def serve(plan: argparse.Namespace) -> dict[str, Any]:
    """Serve the clients and give the figures; the first tenth of the messages does not count."""
    intake = NullIntake()
    with tempfile.TemporaryDirectory() as folder:
        context = server_context(make_certificate(Path(folder), "bench"))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    stop = await (start_stock if plan.stock else start_ours)(intake, listener, context)
    process = multiprocessing.get_context("fork").Process(target=run_clients, args=(port, plan))
    process.start()
    total = plan.messages // plan.connections * plan.connections
    while intake.taken < total // 10 and process.is_alive():
        await asyncio.sleep(0.001)
    first, before, began = intake.taken, used(), time.perf_counter()
    while intake.taken < total and process.is_alive():
        await asyncio.sleep(0.005)
    seconds, wall = used() - before, time.perf_counter() - began
    while process.is_alive():  # its last replies are still to be written
        await asyncio.sleep(0.005)
    process.join()
    await stop()
    if process.exitcode:
        raise SystemExit("the client failed: see above")
    listener.close()
    return {
        "cpu_us_per_message": round(seconds / (total - first) * 1e6, 1),
        "messages_per_second": round((total - first) / wall),
    }


def rsa_microseconds() -> float:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    began = time.process_time()
    for _ in range(200):
        key.sign(b"x" * 32, padding.PKCS1v15(), hashes.SHA256())
    return round((time.process_time() - began) / 200 * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--octets", type=int, default=2048)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument(
        "--log", action="store_true", help="write the log lines (to /dev/null) instead of dropping them"
    )
    plan = parser.parse_args()
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(20 if plan.log else 50),
        logger_factory=structlog.WriteLoggerFactory(Path("/dev/null").open("w")),  # noqa: SIM115 - for the process
        cache_logger_on_first_use=True,
    )
    factory = asyncio.new_event_loop if plan.loop == "asyncio" else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(serve(plan))
    print(json.dumps({**figures, "rsa_2048_us": rsa_microseconds()}))


if __name__ == "__main__":
    main()
