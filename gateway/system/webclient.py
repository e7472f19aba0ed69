"""A small HTTP client for addresses that strangers choose.

The host is looked up once, every address found is checked, and the connection goes to one of those that
were checked: a name that answers differently the second time gains nothing. TLS verifies the name all
the same. Redirects are not followed, no proxy is asked, and of the answer only the status is kept.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gateway.mail.idna import DomainError, to_ascii
from gateway.system.addresses import is_public
from gateway.system.dns import DnsAway, NoSuchName

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""From a host's name to its addresses, as `Resolver.addresses`. May raise NoSuchName, DnsAway."""

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 2_000
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_HEAD_OCTETS = 16 * 1024
_BODY_OCTETS = 64 * 1024
_BODY_SECONDS = 1.0
_CONNECT_SECONDS = 5.0
_MOST_INTERIM = 5
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r)")


class WebError(Exception):
    """No answer could be had; the text says why, for the one who chose the address.

    `seen` is for the operator's log alone: how names resolve here is not for strangers to know.
    """

    def __init__(self, text: str, seen: str | None = None) -> None:
        super().__init__(text)
        self.seen = seen


class TargetRefused(WebError):
    """The address is not one that this program may be sent to."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host`: A-labels or an IP address without brackets; `path` with its query."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, *, allow_private: bool = False) -> Target:
    """Read a URL that a stranger gave. `allow_private`: http and addresses of one's own network too.

    Raises TargetRefused, whose text never repeats the URL: it may hold a token.
    """
    if len(url) > _LONGEST_URL or not url.isprintable() or re.search(r"[\s\\]", url):
        raise TargetRefused("the URL is too long or has spaces, backslashes or control characters in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetRefused("its host or port cannot be read") from None
    scheme = parts.scheme.lower()
    if scheme != "https" and not (scheme == "http" and allow_private):
        raise TargetRefused("it must begin with https://")
    if "@" in parts.netloc or parts.fragment:
        raise TargetRefused("it may hold no user name, password or fragment")
    if port == 0:
        raise TargetRefused("port 0 is none")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise TargetRefused("its path must be written in ASCII, other characters as %XX")
    kind: Literal["http", "https"] = "https" if scheme == "https" else "http"
    return Target(kind, _host(parts.hostname or "", allow_private), port or _PORTS[kind], path)


def _host(text: str, allow_private: bool) -> str:
    if "%" in text:
        raise TargetRefused("its host names an interface of this machine, or is written with %")
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        return _name(text, allow_private)
    if not allow_private and not is_public(address):
        raise TargetRefused(f"{address} is no public address")
    return address


def _name(text: str, allow_private: bool) -> str:
    try:
        name = to_ascii(text.rstrip("."))
    except (DomainError, IndexError):
        name = ""
    # Old forms of IPv4 addresses (2130706433, 0x7f.1) are no names.
    if not _HOST.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise TargetRefused("its host is neither a name nor an IP address")
    local = "." not in name or name.endswith((".localhost", ".local", ".internal"))
    if local and not allow_private:
        raise TargetRefused(f"{name} is a name of a private network")
    return name


class WebClient:
    """Sends requests, each over a connection of its own. Use one for each event loop."""

    def __init__(
        self,
        look_up: LookUp,
        *,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = 15.0,
        connect: Callable[..., Awaitable[Streams]] = asyncio.open_connection,
    ) -> None:
        """`tls`: which certificates are trusted, the system's unless given."""
        self._look_up = look_up
        self._allow_private = allow_private
        self._tls = tls or ssl.create_default_context()
        self._timeout_seconds = timeout_seconds
        self._connect = connect

    async def post(self, target: Target, fields: Mapping[str, str], body: bytes) -> int:
        """Send `body` and return the status of the answer, 200 to 599, whatever it is.

        Raises TargetRefused, WebError (no connection, no certificate, no answer in time or none at all).
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._exchange(target, _request(target, fields, body))
        except TimeoutError:
            raise WebError(f"no answer within {self._timeout_seconds:g} s") from None
        except ssl.SSLError as error:
            raise WebError(f"TLS failed: {_reason(error)}") from error
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise WebError(f"the connection failed: {reason}") from error

    async def _exchange(self, target: Target, request: bytes) -> int:
        reader, writer = await self._open(target)
        try:
            writer.write(request)
            await writer.drain()
            status = await _read_status(reader)
            await _let_finish(reader)
            return status
        finally:
            # Not closed politely: one that holds the connection open must not hold us.
            writer.transport.abort()

    async def _open(self, target: Target) -> Streams:
        """A connection to an address that was checked, the first that answers."""
        context = self._tls if target.scheme == "https" else None
        name = target.host if context is not None else None
        trouble: Exception = WebError("the host has no address")
        for address in await self._addresses(target.host):
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await self._connect(
                        address, target.port, ssl=context, server_hostname=name, limit=_HEAD_OCTETS
                    )
            except TimeoutError:
                trouble = WebError("the host does not answer")
            except ssl.SSLError:
                raise
            except OSError as error:
                trouble = error
        raise trouble

    async def _addresses(self, host: str) -> Sequence[str]:
        try:
            addresses = [str(ipaddress.ip_address(host))]
        except ValueError:
            addresses = await self._found(host)
        if not self._allow_private:
            for address in addresses:
                if not is_public(address):
                    raise TargetRefused(f"{host} leads to an address that is not public", seen=address)
        return addresses

    async def _found(self, host: str) -> list[str]:
        try:
            return list(await self._look_up(host))
        except (NoSuchName, DnsAway) as error:
            raise WebError(str(error)) from error


def _request(target: Target, fields: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    if any(not line.isascii() or not line.isprintable() for line in lines):
        raise ValueError("a field of a request may hold printable ASCII only")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"\r\n" + body


async def _read_status(reader: asyncio.StreamReader) -> int:
    for _ in range(_MOST_INTERIM):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise WebError("the connection ended before an answer") from None
        except asyncio.LimitOverrunError:
            raise WebError(f"the answer's header has more than {_HEAD_OCTETS} octets") from None
        match = _STATUS.match(head)
        if match is None or not 100 <= int(match[1]) <= 599:
            raise WebError("the answer is no HTTP")
        if int(match[1]) >= 200:
            return int(match[1])
    raise WebError("the answer never came to its end")


async def _let_finish(reader: asyncio.StreamReader) -> None:
    """Take the little that follows, so that a receiver need not see its answer cut off."""
    octets = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while octets < _BODY_OCTETS and (piece := await reader.read(_BODY_OCTETS)):
                octets += len(piece)
    except (TimeoutError, OSError):
        return  # the status is known, and nothing more is wanted


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "unknown error").lower().replace("_", " ")
