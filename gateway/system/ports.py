"""Listening sockets: all ports checked before one is opened, one socket a process and address."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from gateway.system.config import Endpoint

BACKLOG = 4_096
_LISTENING = "0A"


class PortError(Exception):
    """Addresses cannot be opened: `detail` says which and why, `fix` what to do."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(f"{detail}; {fix}")
        self.detail = detail
        self.fix = fix


def check_free(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The addresses that can be opened: all but `[::]` on a machine without IPv6.

    Raises PortError naming every one that cannot.
    """
    usable, troubles = [], []
    for endpoint in dict.fromkeys(endpoints):
        try:
            with _bound(endpoint, shared=False):
                usable.append(endpoint)
        except OSError as error:
            if endpoint.host == "::" and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                continue
            troubles.append(_trouble(endpoint, error))
    if troubles:
        details, fixes = zip(*troubles, strict=True)
        raise PortError("; ".join(details), "; ".join(dict.fromkeys(fixes)))
    return tuple(usable)


def listen(endpoint: Endpoint) -> socket.socket:
    """A listening socket that others may stand beside (SO_REUSEPORT). Raises PortError."""
    try:
        bound = _bound(endpoint, shared=True)
        bound.listen(BACKLOG)
    except OSError as error:
        raise PortError(*_trouble(endpoint, error)) from error
    bound.setblocking(False)
    return bound


def _bound(endpoint: Endpoint, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((endpoint.host, endpoint.port))
    except OSError:
        bound.close()
        raise
    return bound


def _trouble(endpoint: Endpoint, error: OSError) -> tuple[str, str]:
    match error.errno:
        case errno.EADDRINUSE:
            holder = port_holder(endpoint.port)
            return f"{endpoint} is in use by {holder}", "stop that, or choose another port in [listen]"
        case errno.EACCES | errno.EPERM:
            fix = "start it as root with `user` set, under systemd, or with CAP_NET_BIND_SERVICE"
            return f"{endpoint} may not be opened by this user", fix
        case errno.EADDRNOTAVAIL:
            return f"{endpoint} is not an address of this machine", "correct it in [listen]"
    return f"{endpoint} cannot be opened: {error.strerror}", "correct it in [listen]"


def port_holder(port: int) -> str:
    """Who listens at a TCP port of this machine, as far as this user may see it."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                target = str(descriptor.readlink())
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    name = (process / "comm").read_text().strip()
                    return f"process {process.name} ({name})"
        except OSError:
            # It ended meanwhile, or belongs to somebody else.
            continue
    return "another user's process" if inodes else "another process"


def _listening_inodes(port: int) -> set[str]:
    suffix = f":{port:04X}"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(suffix) and fields[3] == _LISTENING:
                inodes.add(fields[9])
    return inodes
