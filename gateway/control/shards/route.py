"""How mail leaves through a shard: the grammar of a route's URL, and its credentials apart from it."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.control.errors import Invalid
from gateway.control.records import ShardRecord
from gateway.control.shards.spf import clean_terms
from gateway.system.secrets import Sealer

Kind = Literal["mx", "smtp", "smtps", "capture", "local"]

_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_PORTS = {"smtp": 25, "smtps": 465}
_EXAMPLES = "Use mx, smtp://host:25, smtp://host?tls=required, smtps://user:password@host, capture: or local:"
_TERMS = "after spf= stand up to five of include:, a:, mx:, ip4: and ip6:, between commas"


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password for a smarthost."""

    username: str
    password: str

    def __repr__(self) -> str:
        """Without the password: values end up in logs and tracebacks."""
        return f"Credentials({self.username!r}, ...)"


@dataclass(frozen=True, slots=True)
class Route:
    """A route without credentials. `host` and `port` are a smarthost's, `folder` a capture's ("": the usual).

    `tls_required`: no mail without TLS and a valid certificate. `spf`: what SPF records are to name for a
    smarthost; empty: its own address.
    """

    kind: Kind
    host: str = ""
    port: int = 0
    tls_required: bool = False
    folder: str = ""
    spf: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The one way to write it; `parse_route` reads it back."""
        if self.kind == "mx":
            return "mx"
        if self.kind in ("capture", "local"):
            return f"{self.kind}:{self.folder}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = ["tls=required"] if self.kind == "smtp" and self.tls_required else []
        query += [f"spf={','.join(self.spf)}"] if self.spf else []
        return f"{self.kind}://{host}:{self.port}{'?' if query else ''}{'&'.join(query)}"


def parse_route(text: str) -> tuple[Route, Credentials | None]:
    """Read a route. Raises Invalid, whose text never repeats the route: it may hold a password."""
    if text == "mx":
        return Route("mx"), None
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in ("smtp", "smtps", "capture", "local"):
        raise _refused("it begins with none of the known words")
    if scheme == "local":
        if rest:
            raise _refused("local: takes nothing after the colon")
        return Route("local"), None
    if scheme == "capture":
        return Route("capture", folder=_folder(rest)), None
    return _smarthost("smtp" if scheme == "smtp" else "smtps", text)


def seal_credentials(sealer: Sealer, credentials: Credentials, *, tenant_id: str, shard_id: str) -> bytes:
    """The sealed form for the shard's row."""
    text = json.dumps([credentials.username, credentials.password])
    return sealer.seal(text.encode(), tenant=tenant_id, table="shards", row=shard_id, column="route_sealed")


def open_credentials(sealer: Sealer, shard: ShardRecord) -> Credentials | None:
    """A shard's credentials, None if it has none; `sealer` is the one for "route". Raises SecretError."""
    if shard.route_credentials is None:
        return None
    text = sealer.open(
        shard.route_credentials, tenant=shard.tenant_id, table="shards", row=shard.id, column="route_sealed"
    )
    username, password = json.loads(text)
    return Credentials(username, password)


def _smarthost(kind: Literal["smtp", "smtps"], text: str) -> tuple[Route, Credentials | None]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("its host or port cannot be read") from None
    if port == 0:
        raise _refused("port 0 is none")
    if parts.path or parts.fragment or not text.isprintable() or " " in text:
        raise _refused("nothing but host, port, ?tls= and ?spf= may follow")
    tls, spf = _query(parts.query)
    required = kind == "smtps" or tls == "required"
    route = Route(kind, host=_host(parts), port=port or _PORTS[kind], tls_required=required, spf=spf)
    return route, _credentials(parts, route)


def _query(text: str) -> tuple[str, tuple[str, ...]]:
    """What follows the ?: the word for TLS, and the terms for SPF."""
    pairs = [part.partition("=")[::2] for part in text.split("&")] if text else []
    given = dict(pairs)
    if len(given) < len(pairs) or not set(given) <= {"tls", "spf"}:
        raise _refused("after the ? only tls= and spf= may stand, each once, with & between them")
    if given.get("tls", "required") not in ("required", "opportunistic"):
        raise _refused("after tls= only required or opportunistic may stand")
    try:
        return given.get("tls", ""), clean_terms(given["spf"]) if "spf" in given else ()
    except ValueError:
        raise _refused(_TERMS) from None


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host) or host.rpartition(".")[2].isdigit():
            raise _refused("its host is no name and no address") from None
        return host


def _credentials(parts: SplitResult, route: Route) -> Credentials | None:
    if parts.username is None and parts.password is None:
        return None
    credentials = Credentials(unquote(parts.username or ""), unquote(parts.password or ""))
    if not credentials.username or not credentials.password:
        raise _refused("give both a user name and a password, or neither")
    if any(character in "\0\r\n" for character in credentials.username + credentials.password):
        raise _refused("user name and password may have no control characters")
    if not route.tls_required and not _is_loopback(route.host):
        raise _refused("a password needs TLS: write smtps:// or add ?tls=required")
    return credentials


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _folder(text: str) -> str:
    if not text:
        return ""
    if not text.startswith("/") or ".." in text.split("/") or not text.isprintable():
        raise _refused("the folder of capture: must be an absolute path without ..")
    return "/" + text.strip("/")


def _refused(problem: str) -> Invalid:
    return Invalid("bad-route", f"The route cannot be used: {problem}.", _EXAMPLES + ".")
