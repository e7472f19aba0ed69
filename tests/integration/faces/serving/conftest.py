"""The API's server with a small application behind it, under asyncio and under uvloop."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.faces.api.doors import Doors
from gateway.faces.api.protocol import Patience
from gateway.faces.api.server import ApiServer, open_local

LARGE = 30_000_000
PATIENT = Patience(60.0, 60.0, 60.0, 1_000, 60.0)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test of this room runs under both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Application:
    """Answers by path: `/whoami`, `/unread` (at once), `/read` (the body's length), `/wait`, `/stream`, and
    `/large` (more than a socket takes).
    """

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.asked: list[str] = []
        self.gone: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.asked.append(path)
        text = str(scope["client"][0])
        if path == "/read":
            text = await self._read(path, receive)
        elif path == "/large":
            text = "x" * LARGE
        elif path == "/wait":
            await self.release.wait()
        fields = [] if path == "/stream" else [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        if path == "/stream":
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await self.release.wait()
        await send({"type": "http.response.body", "body": text.encode()})

    async def _read(self, path: str, receive: Any) -> str:
        octets, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.append(path)
                return "nobody"
            octets, more = octets + len(message["body"]), message["more_body"]
        return str(octets)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(30):
            return await self._reader.read()

    async def answer(self, ending: bytes) -> bytes:
        """What comes up to `ending`."""
        async with asyncio.timeout(30):
            return await self._reader.readuntil(ending)

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):  # the server was first
            await self._writer.wait_closed()


class Serving:
    """Starts servers and connections, and ends them."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.app = Application()
        self.path = folder / "api.sock"
        self.port = 0
        self._stack = stack

    def start(
        self, patience: Patience = PATIENT, doors: Doors | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        app: Any = self.app
        server = ApiServer(app, [listener, open_local(self.path)], doors or Doors(), tls, patience)
        server.start()
        self._stack.push_async_callback(self._end, server)

    async def _end(self, server: ApiServer) -> None:
        self.app.release.set()
        await server.stop()

    async def client(self, octets: bytes = b"", **more: Any) -> Client:
        return await self._joined(asyncio.open_connection("127.0.0.1", self.port, **more), octets)

    async def local_client(self, octets: bytes = b"") -> Client:
        return await self._joined(asyncio.open_unix_connection(self.path), octets)

    async def _joined(self, opening: Awaitable[Any], octets: bytes) -> Client:
        client = Client(*await opening)
        self._stack.push_async_callback(client.close)
        client.send(octets)
        return client

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.005)


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    async with AsyncExitStack() as stack:
        yield Serving(tmp_path, stack)
