"""A client for scripted dialogues: raw bytes out, whole replies in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import struct

from tests.integration.edges.doubles import PASSWORD

MESSAGE = b"From: Ann <ann@example.com>\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nHello Bob.\r\n"


def plain_token(login: str = "ann@example.com", password: str = PASSWORD, authzid: str = "") -> bytes:
    """The initial response of AUTH PLAIN."""
    return base64.b64encode(f"{authzid}\0{login}\0{password}".encode())


class Dialogue:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None = None) -> Dialogue:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def reply(self) -> str:
        """One reply, its lines joined by newlines, without CRLF."""
        lines = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 10)
            if not line:
                raise ConnectionError(f"closed after {lines}")
            assert line.endswith(b"\r\n"), line
            assert line[3:4] in (b" ", b"-"), line
            lines.append(line[:-2].decode())
            if line[3:4] == b" ":
                return "\n".join(lines)

    async def ask(self, octets: bytes) -> str:
        """A line and its reply."""
        self.send(octets + b"\r\n")
        return await self.reply()

    async def expect(self, octets: bytes, code: str) -> str:
        reply = await self.ask(octets)
        assert reply.startswith(code), f"{octets!r}: expected {code}, got {reply}"
        return reply

    async def rest(self) -> str:
        """Everything until the server closes."""
        try:
            octets = await asyncio.wait_for(self.reader.read(-1), 10)
        except ConnectionError:
            return ""
        return octets.decode()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.expect(b"STARTTLS", "220")
        await self.writer.start_tls(context, server_hostname="localhost")

    async def log_in(self) -> None:
        await self.expect(b"EHLO client.example", "250")
        await self.expect(b"AUTH PLAIN " + plain_token(), "235")

    async def envelope(self, *recipients: bytes) -> None:
        await self.expect(b"MAIL FROM:<ann@example.com>", "250")
        for recipient in recipients or (b"bob@example.net",):
            await self.expect(b"RCPT TO:<" + recipient + b">", "250")

    async def message(self, octets: bytes = MESSAGE) -> str:
        await self.expect(b"DATA", "354")
        self.send(octets + b".\r\n")
        return await self.reply()

    def reset(self) -> None:
        """Leave with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()
