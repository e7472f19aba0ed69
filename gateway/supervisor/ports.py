"""Which process gets which listening socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.supervisor.places import Place
from gateway.system.config import Endpoint
from gateway.system.ports import check_free, listen


def open_ports(places: Sequence[Place], activated: Mapping[str, Sequence[socket.socket]], log: Any) -> None:
    """Give every place its sockets: systemd's where it opened some for the role, shared by all; else its own.

    `activated`: systemd's sockets by name. All ports are checked before one is opened. Raises PortError.
    """
    given = _by_role(places, activated, log)
    wanted = {endpoint for place in places for role, endpoint in _wanted(place) if role not in given}
    usable = set(check_free(sorted(wanted)))
    for left_out in sorted(wanted - usable):
        log.warning("address_left_out", address=left_out, reason="this machine has no IPv6")
    for place in places:
        opened: dict[str, list[socket.socket]] = {}
        for role, endpoint in _wanted(place):
            if role in given:
                # A descriptor of its own for each place: one may close it, the others go on.
                opened[role] = [one.dup() for one in given[role]]
            elif endpoint in usable:
                opened.setdefault(role, []).append(listen(endpoint))
        place.sockets = {role: tuple(sockets) for role, sockets in opened.items()}


def _by_role(
    places: Sequence[Place], activated: Mapping[str, Sequence[socket.socket]], log: Any
) -> dict[str, list[socket.socket]]:
    """systemd's sockets by role: by their name where that is one, else by their port."""
    roles = {role for place in places for role, _ in _wanted(place)}
    by_port = {endpoint.port: role for place in places for role, endpoint in _wanted(place)}
    given: dict[str, list[socket.socket]] = {}
    for name, sockets in activated.items():
        for one in sockets:
            address = one.getsockname()
            port = address[1] if isinstance(address, tuple) else None
            role = name if name in roles else by_port.get(port) if port is not None else None
            if role is None:
                fix = "use a port of [listen], or FileDescriptorName= with a role's name"
                log.warning("activated_socket_unused", name=name, port=port, fix=fix)
                continue
            one.setblocking(False)
            given.setdefault(role, []).append(one)
    return given


def _wanted(place: Place) -> Iterator[tuple[str, Endpoint]]:
    for role, endpoints in place.kind.listens.items():
        for endpoint in endpoints:
            yield role, endpoint
    for role, first in place.kind.ladder.items():
        yield role, first.above(place.index)
