"""Deliveries, connections and a control plane for the relay's tests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.outgoing.queue import QueuedRecipient
from gateway.outgoing.relay.channel import Channel, Timeouts
from gateway.outgoing.relay.connection import Approach, Connection, Connector
from gateway.outgoing.relay.hosts import Endpoint
from gateway.outgoing.relay.transaction import Mail, Sent, commands_for, wire_parts
from gateway.system.clock import SystemClock
from tests.support.sink import Sink

NOW = 1_800_000_000.0
CONTENT = b"From: a@acme.example\r\nTo: b@example.net\r\nSubject: hello\r\n\r\nbody\r\n.dots\r\n"
SHORT = Timeouts(envelope=0.8, data=0.8, chunk=0.8, final=1.6, unanswered=0.3, connect=2.0, greeting=2.0)


def recipient(n: int = 1, address: str = "b@example.net", **changes: Any) -> QueuedRecipient:
    values: dict[str, Any] = {
        "attempt": 1,
        "notify": frozenset(),
        "orcpt": None,
        "queued_at": NOW,
        "give_up_at": NOW + 3 * 86_400,
        "delay_notified": False,
    }
    return QueuedRecipient(n, address, **(values | changes))


def mail(*addresses: str, content: bytes = CONTENT, header: bytes = b"X-Sig: 1\r\n", **changes: Any) -> Mail:
    names = addresses or ("b@example.net",)
    recipients = tuple(recipient(n, name) for n, name in enumerate(names, 1))
    values: dict[str, Any] = {
        "message_id": "0" * 26,
        "return_path": "token@s1.acme.example",
        "recipients": recipients,
        "destination": "example.net",
    }
    return Mail(header=header, content=content, **(values | changes))


class Watch:
    """Keeps what a channel says about the final dot."""

    def __init__(self) -> None:
        self.dots: list[tuple[int, ...]] = []
        self.silences: list[tuple[int, ...]] = []

    def before_dot(self, accepted: tuple[int, ...]) -> None:
        self.dots.append(accepted)

    def still_unanswered(self, accepted: tuple[int, ...]) -> None:
        self.silences.append(accepted)


class Client:
    """A connection to a sink whose time-outs are looked after, as a dispatcher does."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ticking = asyncio.get_running_loop().create_task(self._tick())

    @property
    def channel(self) -> Channel:
        return self.connection.channel

    async def send(self, message: Mail | None = None, watch: Watch | None = None) -> Sent:
        message = message or mail()
        commands = commands_for(message, self.channel.features)
        return await self.channel.send(commands, wire_parts(message), watch or Watch())

    async def close(self) -> None:
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        self.connection.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.channel.check()


async def connect(
    sink: Sink,
    *,
    timeouts: Timeouts = SHORT,
    ca_file: Path | None = None,
    host: str = "localhost",
    **approach: Any,
) -> Client:
    connector = Connector(timeouts, SystemClock().monotonic, ca_file)
    values = {"helo": "out.gate.example", **approach}
    return Client(await connector.open(Endpoint(host, sink.host, sink.port), Approach(**values)))


def codes(sent: Sent) -> list[int | None]:
    return [fate.code if fate is not None else None for fate in sent.fates]


class Certificates:
    """A certificate authority and a server certificate for localhost and 127.0.0.1, made once."""

    def __init__(self, folder: Path, names: Sequence[str] = ("localhost",)) -> None:
        import datetime
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        now = datetime.datetime.now(datetime.UTC)

        def built(subject: str, issuer: str, key: Any, signer: Any, is_ca: bool) -> x509.Certificate:
            def name(text: str) -> x509.Name:
                return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

            builder = (
                x509.CertificateBuilder()
                .subject_name(name(subject))
                .issuer_name(name(issuer))
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(hours=24))
                .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
                )
            )
            if not is_ca:
                alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in names]
                alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
                builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            return builder.sign(signer, hashes.SHA256())

        authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        pem = serialization.Encoding.PEM
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(built("Test CA", "Test CA", authority, authority, True).public_bytes(pem))
        chain = folder / "server.pem"
        chain.write_bytes(
            built("localhost", "Test CA", server, authority, False).public_bytes(pem)
            + server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)
