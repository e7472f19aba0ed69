"""The API's parts, and its service in the control process."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.app.desk import (
    OpenedDesk,
    audit_erasure,
    audit_trail,
    delivery_service,
    event_feed,
    usage_service,
)
from gateway.app.doctoring import doctor_of
from gateway.app.explain import explain
from gateway.app.publishing import publishing_service
from gateway.app.sending import sending_alone
from gateway.app.simulation import simulate_policy
from gateway.app.status import status_of
from gateway.faces.api.application import build_app
from gateway.faces.api.cursors import CursorSeal
from gateway.faces.api.parts import ApiParts
from gateway.faces.api.rates import FAILURES_AT_ONCE, FAILURES_PER_SECOND, Rates
from gateway.faces.api.streams import Streams
from gateway.system.config import Config, Endpoint
from gateway.system.config.agreement import is_loopback
from gateway.system.tls import ServerTls

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gateway.control.apikeys.service import KnownKey
    from gateway.faces.api.server import ApiServer
    from gateway.outgoing.composing import Send

NoteUse = Callable[["KnownKey", str], None]


def api_parts(desk: OpenedDesk, note_use: NoteUse, send: Send) -> ApiParts:
    """What the operations work with."""
    ground = desk.ground
    config, feed = ground.config.api, event_feed(ground)
    return ApiParts(
        services=desk.services,
        queue=desk.queue,
        clock=ground.clock,
        ids=ground.ids,
        rates=Rates(ground.clock, config.requests_per_second, config.burst),
        failures=Rates(ground.clock, FAILURES_PER_SECOND, FAILURES_AT_ONCE),
        note_use=note_use,
        explain=lambda *arguments, **options: explain(desk, *arguments, **options),
        status=lambda actor: status_of(desk, actor),
        send=send,
        publishing=publishing_service(ground, desk.services),
        deliveries=delivery_service(ground, desk.services),
        audit=audit_trail(ground),
        erasure=audit_erasure(ground, desk.services),
        usage=usage_service(ground, desk.services),
        feed=feed,
        source_uri=f"https://{ground.config.hostname}",
        streams=Streams(feed),
        is_welcome=desk.services.api_keys.is_welcome,
        doctor=lambda actor, everything: doctor_of(desk).examine(actor, everything=everything),
        public_url=public_url(ground.config),
        cursors=CursorSeal(ground.installation.durable_key("cursor")),
        simulate=lambda *arguments, **options: simulate_policy(desk, *arguments, **options),
    )


def public_url(config: Config) -> str | None:
    """Where others reach the API: as configured, else at the first address that it listens on."""
    if config.api.url is not None:
        return config.api.url.rstrip("/")
    if not config.listen.api:
        return None
    outside = [endpoint for endpoint in config.listen.api if not is_loopback(endpoint)]
    if outside:
        port = outside[0].port
        return f"https://{config.hostname}" + (f":{port}" if port != 443 else "")
    return f"http://{config.listen.api[0]}"


def local_app(desk: OpenedDesk) -> FastAPI:
    """The application for one command, while nothing serves: nobody has a key there."""
    return build_app(api_parts(desk, lambda _, __: None, sending_alone(desk.ground)))


class ApiService:
    """The API's servers: on the Unix socket, and on the configured addresses."""

    def __init__(self, desk: OpenedDesk, note_use: NoteUse, send: Send) -> None:
        self._config = desk.ground.config
        parts = api_parts(desk, note_use, send)
        self._streams = parts.streams
        self._app = build_app(parts)
        self._tls: ServerTls | None = None
        self._servers: list[ApiServer] = []

    def start(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        """Begin to serve; `sockets` as the supervisor opened them. Raises OSError, TlsError."""
        # A single command has the application too, and no use for the server.
        from gateway.faces.api.doors import Doors
        from gateway.faces.api.server import ApiServer, open_local

        doors = Doors()
        local = [open_local(self._config.api_socket)]
        listeners = list(sockets.get("api", ()))
        outside = [one for one in listeners if not _is_loopback(one)]
        local += [one for one in listeners if one not in outside]
        self._servers.append(ApiServer(self._app, local, doors))
        if outside and self._config.tls is not None:
            self._tls = ServerTls(self._config.tls)
            self._servers.append(ApiServer(self._app, outside, doors, self._tls.context))
        for server in self._servers:
            server.start()

    def reload(self, config: Config) -> None:
        """Take a new certificate. Raises TlsError, and keeps the old one then."""
        if self._tls is not None and config.tls is not None:
            self._tls.reload(config.tls)

    async def stop(self) -> None:
        """Answer what has begun, then end; who waits for events waits no longer."""
        self._streams.close()
        with contextlib.suppress(FileNotFoundError):
            self._config.api_socket.unlink()
        for server in self._servers:
            await server.stop()


def _is_loopback(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    return is_loopback(Endpoint(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
