"""Whether what is about to be started has its ports to itself."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from gateway.faces.cli.client import SocketTransport
from gateway.faces.cli.output import CommandFailed

_HOST = "127.0.0.1"


def require_free(folder: Path, ports: Iterable[int]) -> None:
    """Raises CommandFailed if the gateway of `folder` runs already, or another program has one of the ports.

    Whoever listens there would answer in the place of what is started, which then dies for want of them.
    """
    api = folder / "run/api.sock"
    if api.exists() and SocketTransport(api).is_served():
        raise CommandFailed(
            "already-running",
            f"The gateway of {folder} is running already.",
            "Use it, or stop it first: Ctrl-C in its terminal.",
        )
    taken = [port for port in ports if _is_taken(port)]
    if taken:
        raise CommandFailed(
            "port-in-use",
            f"Another program listens on {_HOST} port {', '.join(map(str, taken))}.",
            "`ss -ltnp` tells which; stop it, or take another --port-base with another --dir.",
        )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that has just ended takes no port from them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False
