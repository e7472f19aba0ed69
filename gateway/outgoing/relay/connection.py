"""Opening a connection: socket, greeting, EHLO, TLS and login by aiosmtplib, then our own `Channel`."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import aiosmtplib

from gateway.control.shards.route import Credentials
from gateway.outgoing.relay.channel import Channel, Timeouts
from gateway.outgoing.relay.hosts import Endpoint
from gateway.outgoing.relay.replies import PeerReply, printable
from gateway.outgoing.relay.routes import Security
from gateway.outgoing.relay.transaction import PeerFeatures

_LOST = "4.4.2"
_UNREACHABLE = "4.4.1"
_TLS_TROUBLE = "4.7.5"
_LOGIN_TROUBLE = "4.7.8"


class ConnectFailed(Exception):
    """An endpoint could not be used. Always for now: what a host says before MAIL is about us or it,
    not about a message. `reply` is for the record."""

    def __init__(self, endpoint: Endpoint, enhanced: str, why: str) -> None:
        super().__init__(f"{endpoint}: {why}")
        self.endpoint = endpoint
        self.reply = PeerReply(451, f"{enhanced} {printable(str(self).encode())}".encode("ascii"))


class _TlsFailed(ConnectFailed):
    """STARTTLS was offered and did not work."""


@dataclass(frozen=True, slots=True)
class Approach:
    """How to connect: from which addresses and under which name, how safely, as whom."""

    helo: str
    security: Security = "opportunistic"
    source_ipv4: str | None = None
    source_ipv6: str | None = None
    credentials: Credentials | None = None


class Connection:
    """An open connection: its channel, and who is at the other end."""

    def __init__(
        self, endpoint: Endpoint, client: aiosmtplib.SMTP, channel: Channel, tls: str | None
    ) -> None:
        self.endpoint = endpoint
        self.channel = channel
        self.tls = tls
        # The library's object owns the transport: it lives as long as the connection does.
        self._client = client

    def close(self) -> None:
        """End the connection politely."""
        self.channel.quit()
        self._client.close()

    def cut(self, why: str) -> None:
        """End the connection at once."""
        self.channel.abort(why)
        self._client.close()


class Connector:
    """Opens connections. TLS contexts are made once; `ca_file` adds to the system's authorities."""

    def __init__(self, timeouts: Timeouts, now: Callable[[], float], ca_file: Path | None = None) -> None:
        self._timeouts = timeouts
        self._now = now
        self._ca_file = ca_file
        self._verifying: asyncio.Future[ssl.SSLContext] | None = None
        self._opportunistic = _unverified_context()

    async def open(self, endpoint: Endpoint, approach: Approach) -> Connection:
        """A connection ready for transactions.

        Opportunistic TLS that fails is left out in a second try (RFC 7435): the alternative was no
        TLS at all. A password goes only over verified TLS, or to this machine. Raises ConnectFailed.
        """
        security = approach.security
        if approach.credentials is not None and not _is_loopback(endpoint.address):
            security = "required" if security == "opportunistic" else security
        try:
            return await self._open(endpoint, approach, security)
        except _TlsFailed:
            if security != "opportunistic":
                raise
            return await self._open(endpoint, approach, None)

    async def _open(self, endpoint: Endpoint, approach: Approach, security: Security | None) -> Connection:
        context = await self._context(endpoint, security)
        sock = await self._socket(endpoint, approach)
        client = aiosmtplib.SMTP(
            hostname=endpoint.host,
            sock=sock,
            local_hostname=approach.helo,
            timeout=self._timeouts.greeting,
            use_tls=security == "implicit",
            start_tls=False,
            tls_context=context,
        )
        try:
            # From here on the socket is the library's: it is never closed under it.
            await client.connect()
            await _say_hello(client)
            if security in ("opportunistic", "required"):
                await _start_tls(client, endpoint, security, context)
            if approach.credentials is not None:
                await _log_in(client, endpoint, approach.credentials)
            return self._take_over(client, endpoint)
        except BaseException as error:
            transport = client.transport
            client.close()
            if transport is not None:
                # Not the polite end that TLS would wait for.
                cast(asyncio.WriteTransport, transport).abort()
            if isinstance(error, ConnectFailed) or not isinstance(error, Exception):
                raise
            raise _as_failure(endpoint, error) from error

    async def _socket(self, endpoint: Endpoint, approach: Approach) -> socket.socket:
        """A connected socket, from the shard's own address: the library would resolve names in threads."""
        is_ipv6 = ":" in endpoint.address
        source = approach.source_ipv6 if is_ipv6 else approach.source_ipv4
        sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if source is not None:
                _bind(sock, endpoint, source)
            async with asyncio.timeout(self._timeouts.connect):
                await asyncio.get_running_loop().sock_connect(sock, (endpoint.address, endpoint.port))
        except TimeoutError:
            sock.close()
            raise ConnectFailed(endpoint, _UNREACHABLE, "no answer to the connection attempt") from None
        except OSError as error:
            sock.close()
            raise ConnectFailed(endpoint, _UNREACHABLE, _os_words(error)) from error
        except BaseException:
            sock.close()
            raise
        return sock

    def _take_over(self, client: aiosmtplib.SMTP, endpoint: Endpoint) -> Connection:
        transport = client.transport
        if transport is None:
            raise ConnectFailed(endpoint, _LOST, "the peer closed the connection")
        cipher = transport.get_extra_info("cipher")
        channel = Channel(PeerFeatures.of_ehlo(client.esmtp_extensions), self._timeouts, self._now)
        channel.take_over(cast(asyncio.Transport, transport))
        return Connection(endpoint, client, channel, f"{cipher[1]} {cipher[0]}" if cipher else None)

    async def _context(self, endpoint: Endpoint, security: Security | None) -> ssl.SSLContext | None:
        if security is None or security == "opportunistic":
            return self._opportunistic if security else None
        if self._verifying is None:
            # Reading the authorities takes tens of milliseconds: in a thread, once.
            self._verifying = asyncio.ensure_future(asyncio.to_thread(_verifying_context, self._ca_file))
        try:
            return await asyncio.shield(self._verifying)
        except OSError as error:
            self._verifying = None
            why = f"the certificates of relay.ca_file {self._ca_file} cannot be read ({_os_words(error)})"
            raise ConnectFailed(endpoint, _TLS_TROUBLE, why) from error


def _verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _unverified_context() -> ssl.SSLContext:
    """For opportunistic TLS: a certificate nobody checks still hides the mail from a passive reader."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _bind(sock: socket.socket, endpoint: Endpoint, source: str) -> None:
    # The port is chosen at connect, by the whole pair of addresses: 28 000 for each destination.
    bind_address_no_port = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, bind_address_no_port, 1)
    try:
        sock.bind((source, 0))
    except OSError as error:
        why = f"the shard's source address {source} is not on this machine ({_os_words(error)})"
        raise ConnectFailed(endpoint, _UNREACHABLE, why) from error


async def _say_hello(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code // 100 != 5 or not client.is_connected:
            raise
        # RFC 5321 §3.2: an old server that does not know EHLO.
        await client.helo()


async def _start_tls(
    client: aiosmtplib.SMTP, endpoint: Endpoint, security: Security, context: ssl.SSLContext | None
) -> None:
    if not client.supports_extension("starttls"):
        if security == "required":
            raise ConnectFailed(endpoint, _TLS_TROUBLE, "TLS is required and not offered")
        return
    try:
        await client.starttls(server_hostname=endpoint.host, tls_context=context)
        await _say_hello(client)
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _TlsFailed(endpoint, _TLS_TROUBLE, f"STARTTLS failed: {_words(error)}") from error


async def _log_in(client: aiosmtplib.SMTP, endpoint: Endpoint, credentials: Credentials) -> None:
    try:
        await client.login(credentials.username, credentials.password)
    except aiosmtplib.SMTPException as error:
        # The error may quote what we sent: only code and class of the peer's answer are told.
        code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else type(error).__name__
        why = f"the login of user {credentials.username} failed ({code}); check the route's user and password"
        raise ConnectFailed(endpoint, _LOGIN_TROUBLE, why) from None


def _as_failure(endpoint: Endpoint, error: Exception) -> ConnectFailed:
    tls_error = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(tls_error, ssl.SSLError):
        return ConnectFailed(endpoint, _TLS_TROUBLE, f"TLS failed: {_words(tls_error)}")
    if isinstance(error, aiosmtplib.SMTPConnectResponseError):
        return ConnectFailed(endpoint, _LOST, f"it greeted with {_words(error)}")
    if isinstance(error, aiosmtplib.SMTPHeloError):
        return ConnectFailed(endpoint, _LOST, f"it answered our greeting with {_words(error)}")
    return ConnectFailed(endpoint, _LOST, _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not verify: {error.verify_message}"
    return str(error) or type(error).__name__


def _os_words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
