"""Routes: how a shard's mail leaves, parsed from the URL that an operator wrote."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

Security = Literal["opportunistic", "required", "implicit"]

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.IGNORECASE)
_SMTP_PORT = 25
_SMTPS_PORT = 465
_WAYS = "mx, smtp://host[:port], smtps://host[:port], capture: or capture:/folder"


class RouteError(ValueError):
    """A route cannot be used; the text says what is wrong and what to write instead."""

    def __init__(self, route: str, problem: str, fix: str) -> None:
        super().__init__(f"route {without_password(route)!r}: {problem}; {fix}")
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class MxRoute:
    """Straight to the recipient domain's mail exchangers, on the port of the configuration."""


@dataclass(frozen=True, slots=True)
class SmarthostRoute:
    """Everything to one host.

    `security`: `opportunistic` (STARTTLS where offered), `required` (STARTTLS or nothing, the
    certificate verified), `implicit` (`smtps`, verified). A password is never sent without a
    verified certificate unless the host is this machine (see `connection`).
    """

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def destination(self) -> str:
        """What connections are counted by: `host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CaptureRoute:
    """Nowhere: each transaction becomes a file. `folder` None means the installation's own."""

    folder: Path | None = None


Route = MxRoute | SmarthostRoute | CaptureRoute


def parse_route(text: str, *, credentials: tuple[str, str] | None = None) -> Route:
    """The route that `text` spells.

    `credentials` are user and password of a smarthost where they are kept apart from the URL.
    Raises RouteError.
    """
    text = text.strip()
    if text == "mx":
        return MxRoute()
    scheme, colon, rest = text.partition(":")
    match (scheme.lower(), colon):
        case ("capture", ":"):
            return _capture(text, rest)
        case (("smtp" | "smtps") as kind, ":"):
            return _smarthost(text, kind, credentials)
        case ("local", ":"):
            problem = "delivery to mailboxes of this gateway is not available yet"
            raise RouteError(text, problem, f"use {_WAYS}")
    raise RouteError(text, "it is of no known kind", f"use {_WAYS}")


def without_password(route: str) -> str:
    """The route for logs and people: any user and password shown as `***`."""
    return re.sub(r"//[^/]*@", "//***@", route)


def _capture(text: str, rest: str) -> CaptureRoute:
    if not rest:
        return CaptureRoute()
    if not rest.startswith("/") or "\0" in rest:
        raise RouteError(text, "the folder is not an absolute path", "write capture:/var/tmp/mail")
    return CaptureRoute(Path(rest))


def _smarthost(text: str, kind: str, credentials: tuple[str, str] | None) -> SmarthostRoute:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise RouteError(text, f"it does not parse ({error})", f"write {kind}://host:port") from None
    if parts.path.strip("/") or parts.fragment or not text[len(kind) :].startswith("://"):
        raise RouteError(
            text, "it has more than user, host, port and ?tls=required", f"write {kind}://host:port"
        )
    host = _checked_host(text, parts)
    username, password = credentials or _credentials(text, parts)
    security = _security(text, kind, parts)
    port = port or (_SMTPS_PORT if kind == "smtps" else _SMTP_PORT)
    return SmarthostRoute(host, port, security, username, password)


def _checked_host(text: str, parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise RouteError(text, "it names no host", "write smtp://mail.example.net:587")
    return host


def _credentials(text: str, parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    if not parts.username or not parts.password:
        raise RouteError(text, "it has only one of user and password", "write both or none")
    return unquote(parts.username), unquote(parts.password)


def _security(text: str, kind: str, parts: SplitResult) -> Security:
    options = parse_qs(parts.query, keep_blank_values=True)
    wanted = options.pop("tls", [])
    if options or wanted not in ([], ["required"]):
        raise RouteError(text, f"the option ?{parts.query} is not known", "the only one is ?tls=required")
    if kind == "smtps":
        return "implicit"
    return "required" if wanted else "opportunistic"
