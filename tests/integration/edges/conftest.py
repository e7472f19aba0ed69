"""A submission edge on loopback with doubles behind it, under asyncio and under uvloop."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.edges.smtp.host import SmtpHost
from gateway.edges.smtp.limits import SessionLimits
from gateway.edges.smtp.registry import SessionRegistry
from gateway.edges.submission.edge import SubmissionEdge
from gateway.edges.submission.server import SubmissionServer
from gateway.system.clock import ManualClock
from gateway.system.ids import IdSource
from gateway.system.sharedmemory import SharedSlots
from tests.integration.edges.dialogue import Dialogue
from tests.integration.edges.doubles import (
    Counting,
    FakeAuthenticator,
    FakeDirectory,
    FakeIntake,
    Log,
    make_identity,
)

HOSTNAME = "mail.gateway.test"


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for localhost whose common name is `name`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_file, key_file


def server_context(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*files)
    return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Path, Path]]]:
    folder = tmp_path_factory.mktemp("certificates")
    made: dict[str, tuple[Path, Path]] = {}

    def get(name: str) -> tuple[Path, Path]:
        if name not in made:
            made[name] = make_certificate(folder, name)
        return made[name]

    yield get


@pytest.fixture
def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Edge:
    """A running edge, its doubles, and the clients that tests open."""

    def __init__(
        self, context: ssl.SSLContext, client_context: ssl.SSLContext, limits: SessionLimits
    ) -> None:
        self.clock = ManualClock()
        self.log = Log()
        self.metrics = Counting()
        self.identity = make_identity()
        self.directory = FakeDirectory(self.identity)
        self.authenticator = FakeAuthenticator(self.directory)
        self.intake = FakeIntake()
        self.registry = SessionRegistry(self.clock)
        self.slots = SharedSlots(256, 2)
        self.context: ssl.SSLContext | None = context
        self.client_context = client_context
        self.limits = limits
        self.dialogues: list[Dialogue] = []
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.tls_port = (each.getsockname()[1] for each in self.sockets)

    async def start(self) -> None:
        host = SmtpHost(
            hostname=HOSTNAME,
            limits=self.limits,
            clock=self.clock,
            ids=IdSource(self.clock),
            registry=self.registry,
            log=self.log,
            tls=lambda: self.context,
            metrics=self.metrics,  # type: ignore[arg-type]
        )
        self.edge = SubmissionEdge(
            host, self.authenticator, self.directory, self.intake, self.slots, process_index=1
        )
        self.server = SubmissionServer(self.edge, submission=self.sockets[:1], submissions=self.sockets[1:])
        await self.server.start()

    async def stop(self) -> None:
        for dialogue in self.dialogues:
            await dialogue.close()
        if self.intake.hold is not None:
            self.intake.hold.set()
        if self.authenticator.hold is not None:
            self.authenticator.hold.set()
        await self.server.drain(5)
        assert len(self.registry) == 0, "a session outlived its connection"
        assert self.slots.held_by(1) == 0, "a connection was not given back"
        self.slots.close()
        for each in self.sockets:
            each.close()

    async def plain(self, *, greet: bool = True) -> Dialogue:
        """A connection to port 587."""
        return await self._open(self.port, None, greet)

    async def secured(self) -> Dialogue:
        """A connection to port 465, greeted."""
        return await self._open(self.tls_port, self.client_context, True)

    async def logged_in(self) -> Dialogue:
        dialogue = await self.secured()
        await dialogue.log_in()
        return dialogue

    async def ready(self, *recipients: bytes) -> Dialogue:
        """Logged in, MAIL and RCPT said."""
        dialogue = await self.logged_in()
        await dialogue.envelope(*recipients)
        return dialogue

    async def _open(self, port: int, context: ssl.SSLContext | None, greet: bool) -> Dialogue:
        dialogue = await Dialogue.open(port, context)
        self.dialogues.append(dialogue)
        if greet:
            greeting = await dialogue.reply()
            assert greeting.startswith(f"220 {HOSTNAME} ESMTP"), greeting
        return dialogue

    def sweep(self, seconds: float) -> None:
        """Let time go by and look at the deadlines."""
        self.clock.advance(seconds)
        self.registry.sweep()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Give the loop turns until `condition` holds."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test of this room runs under both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def limits() -> SessionLimits:
    """What `edge` runs with; a test module overrides it."""
    return SessionLimits()


@pytest.fixture
async def edge(
    certificates: Callable[[str], tuple[Path, Path]], client_context: ssl.SSLContext, limits: SessionLimits
) -> AsyncIterator[Edge]:
    running = Edge(server_context(certificates("first")), client_context, limits)
    await running.start()
    yield running
    await running.stop()
