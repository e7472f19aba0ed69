"""Serving the application with uvicorn: on TCP sockets and on the installation's Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from gateway.faces.api.doors import Accepting, Doors, Place
from gateway.faces.api.protocol import Patience, Protocol

if TYPE_CHECKING:
    from fastapi import FastAPI

SOCKET_MODE = 0o660
SOCKET_GROUP = "gatepost"
_BACKLOG = 256
_KEEP_ALIVE_SECONDS = 75
_DRAIN_SECONDS = 10


class _Server(uvicorn.Server):
    """Leaves the signals to the process it lives in, and the accepting to us."""

    accepting: Sequence[Accepting] = ()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in self.accepting:
            one.open()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for one in self.accepting:
            one.close()
        await super().shutdown(sockets)


class ApiServer:
    """Serves one application on listening sockets until `stop`."""

    def __init__(
        self,
        app: FastAPI,
        sockets: Sequence[socket.socket],
        doors: Doors,
        tls: ssl.SSLContext | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`tls`: what all of `sockets` speak; its certificate may be loaded anew while it serves.

        `doors` counts the connections of all servers of the process.
        """
        self._config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        self._config.load()
        self._tls = tls
        self._patience = patience or Patience()
        self._server = _Server(self._config)
        self._server.accepting = [
            Accepting(one, doors, self._serve, speaks_first=tls is None) for one in sockets
        ]
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        self._serving = asyncio.get_running_loop().create_task(self._server.serve([]))

    async def stop(self) -> None:
        """Answer what has begun, then end."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    async def _serve(self, connection: socket.socket, place: Place) -> None:
        """Let the event loop have a connection; returns once it is set up, or came to nothing."""

        def protocol() -> Protocol:
            return Protocol(self._config, self._server.server_state, self._patience, place.leave)

        is_up = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._patience.handshake if self._tls is not None else None,
            )
            is_up = True
        except OSError:
            # The peer went away, speaks no TLS, or does not trust us: its business, and no news here.
            return
        finally:
            if not is_up:
                place.leave()


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
