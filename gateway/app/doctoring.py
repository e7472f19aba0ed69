"""The doctor over a real installation: its sockets, its resolver, its files and databases."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from gateway.control.doctor.machine import Machine
from gateway.control.doctor.network import Network
from gateway.control.doctor.service import Doctor
from gateway.control.domains.publishing.resolving import ResolverLook
from gateway.system.config import Config
from gateway.system.config.agreement import is_loopback, listeners

if TYPE_CHECKING:
    from gateway.app.desk import OpenedDesk
    from gateway.app.parts import Ground

_SECONDS = 5.0
_LONGEST_PAGE = 64 * 1024


class SocketProbe:
    """Real connections, each bounded in time."""

    def connect(self, host: str, port: int) -> None:
        """See Probe."""
        socket.create_connection((host, port), _SECONDS).close()

    def fetch(self, url: str) -> str:
        """See Probe. Redirects are not followed (RFC 8461 §3.3)."""
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=_SECONDS, context=ssl.create_default_context()
        )
        try:
            connection.request("GET", parts.path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(f"the server answers {answer.status}")
            return answer.read(_LONGEST_PAGE).decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP comes back ({type(error).__name__})") from error
        finally:
            connection.close()


def doctor_of(desk: OpenedDesk, *, database_time: Callable[[], float | None] | None = None) -> Doctor:
    """The doctor of an opened installation.

    `database_time` (seconds since 1970) is what the control database's clock says; asked of it unless given.
    """
    ground = desk.ground
    config = ground.config
    return Doctor(
        desk.services.writes,
        desk.services.settings,
        network_of(config),
        _machine(desk, database_time or partial(_database_time, desk.ground)),
        ResolverLook([(server.host, server.port) for server in config.dns.servers]),
        SocketProbe(),
        blocklists=config.doctor.blocklists,
    )


def network_of(config: Config) -> Network:
    """What others connect to: by the host name, except what listens on loopback alone."""
    return Network(
        hostname=config.hostname,
        ports=tuple(dict.fromkeys(_ports(config))),
        outward=config.doctor.outward,
        outward_port=config.relay.port,
        certificate=config.tls.certificate if config.tls is not None else None,
    )


def _ports(config: Config) -> Iterator[tuple[str, str, int]]:
    for path, endpoint in listeners(config):
        host = endpoint.host if is_loopback(endpoint) else config.hostname
        yield str(path[1]), host, endpoint.port


def _machine(desk: OpenedDesk, database_time: Callable[[], float | None]) -> Machine:
    ground = desk.ground
    config = ground.config
    return Machine(
        folders=tuple(dict.fromkeys(_folders(config))),
        least_free=config.limits.free_space_bytes,
        master_key=config.master_key_file,
        database_time=database_time,
        longest_wait=lambda: _longest_wait(desk),
    )


def _folders(config: Config) -> Iterator[Path]:
    yield config.state_dir
    for location in config.locations.values():
        folder = Path(location.blobs)
        # One that nothing was put into yet is made with the first message.
        if not location.blobs.startswith("s3://") and folder.exists():
            yield folder


def _database_time(ground: Ground) -> float | None:
    with ground.control.read() as connection:
        if connection.dialect.name != "postgresql":
            return None
        return float(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)


def _longest_wait(desk: OpenedDesk) -> float | None:
    oldest = desk.queue.pages.oldest()
    return None if oldest is None else max(0.0, desk.ground.clock.now() - oldest)
