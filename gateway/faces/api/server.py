"""Serving the application with uvicorn: on TCP sockets and on the installation's Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.faces.api.admission import UID_PREFIX

if TYPE_CHECKING:
    from fastapi import FastAPI

SOCKET_MODE = 0o660
SOCKET_GROUP = "gatepost"
_BACKLOG = 256
_PEER = struct.Struct("3i")
_KEEP_ALIVE_SECONDS = 75
_DRAIN_SECONDS = 10


class _Protocol(HttpToolsProtocol):
    """Names a peer on a Unix socket by its user, as the kernel knows it."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            _, uid, _ = _PEER.unpack(octets)
            self.client = (f"{UID_PREFIX}{uid}", 0)


class _Server(uvicorn.Server):
    """Leaves the signals to the process it lives in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """Serves one application on listening sockets until `stop`."""

    def __init__(
        self, app: FastAPI, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls`: what all of `sockets` speak; its certificate may be loaded anew while it serves."""
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        config.load()
        config.ssl = tls
        self._server = _Server(config)
        self._sockets = list(sockets)
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(self._sockets))

    async def stop(self) -> None:
        """Answer what has begun, then end."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


def open_local(path: Path) -> socket.socket:
    """The installation's Unix socket, mode 0660, of the group `gatepost` where this process may give it away.

    A socket that a dead process left behind is replaced. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with in_folder(path) as short:
            path.unlink(missing_ok=True)
            listener.bind(short)
        path.chmod(SOCKET_MODE)
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(path, -1, grp.getgrnam(SOCKET_GROUP).gr_gid)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def in_folder(path: Path) -> Iterator[str]:
    """A name for a socket that fits into `sun_path` however deep its folder lies (unix(7): 108 octets)."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
