"""Which process gets which listening socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.supervisor.places import Place
from gateway.system.config import Endpoint
from gateway.system.ports import check_free, listen


def open_ports(places: Sequence[Place], activated: Mapping[str, Sequence[socket.socket]], log: Any) -> None:
    """Give every place its sockets: systemd's, shared by all, where their name is a role; else its own.

    All ports are checked before one is opened. Raises PortError.
    """
    wanted = {endpoint for place in places for role, endpoint in _wanted(place) if role not in activated}
    usable = set(check_free(sorted(wanted)))
    for left_out in sorted(wanted - usable):
        log.warning("address_left_out", address=left_out, reason="this machine has no IPv6")
    for place in places:
        opened: dict[str, list[socket.socket]] = {}
        for role, endpoint in _wanted(place):
            if role in activated:
                opened[role] = [one.dup() for one in activated[role]]
            elif endpoint in usable:
                opened.setdefault(role, []).append(listen(endpoint))
        place.sockets = {role: tuple(sockets) for role, sockets in opened.items()}
    roles = {role for place in places for role, _ in _wanted(place)}
    for name in sorted(set(activated) - roles):
        log.warning("activated_socket_unused", name=name, fix="name a role in FileDescriptorName=")
    for sockets in activated.values():
        for one in sockets:
            one.setblocking(False)


def _wanted(place: Place) -> Iterator[tuple[str, Endpoint]]:
    for role, endpoints in place.kind.listens.items():
        for endpoint in endpoints:
            yield role, endpoint
    for role, first in place.kind.ladder.items():
        yield role, first.above(place.index)
