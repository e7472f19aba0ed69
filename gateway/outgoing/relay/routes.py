"""Routes as the relay takes them: the grammar of their URLs stands in `control.shards.route`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.control.errors import Invalid
from gateway.control.shards.route import Credentials, parse_route

Security = Literal["opportunistic", "required", "implicit"]


class RouteError(ValueError):
    """A shard's route cannot be used; the text says why and what to do, and never holds a password."""


@dataclass(frozen=True, slots=True)
class MxRoute:
    """Straight to the recipient domain's mail exchangers, on the port of the configuration."""


@dataclass(frozen=True, slots=True)
class SmarthostRoute:
    """Everything to one host.

    `security`: `opportunistic` (STARTTLS where offered, nothing verified), `required` (STARTTLS or
    nothing, the certificate verified), `implicit` (`smtps`, verified).
    """

    host: str
    port: int
    security: Security
    credentials: Credentials | None = None

    @property
    def destination(self) -> str:
        """What connections are counted by: `host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CaptureRoute:
    """Nowhere: each transaction becomes a file. `folder` None means the installation's own."""

    folder: Path | None = None


Route = MxRoute | SmarthostRoute | CaptureRoute


def route_of(url: str, credentials: Credentials | None = None) -> Route:
    """The route that a shard's `url` spells; `credentials` are the shard's, kept apart from it.

    Raises RouteError.
    """
    try:
        route, in_url = parse_route(url)
    except Invalid as error:
        raise RouteError(str(error)) from None
    match route.kind:
        case "mx":
            return MxRoute()
        case "capture":
            return CaptureRoute(Path(route.folder) if route.folder else None)
        case "local":
            raise RouteError("the route local: is not available yet; set another one with `shard route`")
        case "smtps":
            return SmarthostRoute(route.host, route.port, "implicit", credentials or in_url)
    security: Security = "required" if route.tls_required else "opportunistic"
    return SmarthostRoute(route.host, route.port, security, credentials or in_url)
