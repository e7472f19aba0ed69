"""The command line as a client of the API: over the Unix socket, over a URL, or in this very process."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from gateway.faces.cli.output import EXIT_FAILED, EXIT_USAGE, USAGE_CODES, CommandFailed

_SECONDS = 600.0
_PAGE = 500
_PIECE = 65_536
_JSON = ("application/json", "application/problem+json")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `body` is not decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """One way to the API."""

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """Send one request. Raises CommandFailed if nobody answers."""
        ...

    def stream(self, target: str) -> Iterator[bytes]:
        """GET what may be long, piece by piece. Raises CommandFailed if nobody answers, or refuses."""
        ...


class ApiClient:
    """Calls operations and gives their JSON; refusals become CommandFailed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, path: str, **query: Any) -> Any:
        """GET a resource."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """POST a request; fields that are None are left out."""
        return self.call("POST", path, _without_none(body), query)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH a resource; fields that are None are left out."""
        return self.call("PATCH", path, _without_none(body))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """PUT a resource."""
        return self.call("PUT", path, _without_none(body))

    def delete(self, path: str, **query: Any) -> Any:
        """DELETE a resource."""
        return self.call("DELETE", path, query=query)

    def list(self, path: str, *, most: int | None = None, **query: Any) -> Iterator[Any]:
        """Every row of a list, page after page; at most `most`."""
        left = most
        cursor: str | None = None
        while left is None or left > 0:
            limit = _PAGE if left is None else min(left, _PAGE)
            page = self.get(path, **query, limit=limit, cursor=cursor)
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """The lines of a text that may be long, while it is sent. Raises CommandFailed."""
        rest = b""
        for piece in self._transport.stream(_target(path, query)):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.decode()
        if rest:
            yield rest.decode()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request and decode its JSON; None where there is none. Raises CommandFailed."""
        sent = {"Accept": "application/json", **(headers or {})}
        octets = None
        if isinstance(body, bytes):
            octets = body
        elif body is not None:
            octets = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        reply = self._transport.send(method, _target(path, query or {}), sent, octets)
        if reply.status >= 400:
            raise failure(reply)
        if not reply.body:
            return None
        if reply.headers.get("content-type", "").partition(";")[0] not in _JSON:
            return reply.body.decode("utf-8")
        return json.loads(reply.body)


def at(template: str, *references: str) -> str:
    """A path with references put in: `at("/v1/tenants/{}", name)`; any character may stand in them."""
    return template.format(*(quote(one, safe="") for one in references))


class SocketTransport:
    """To the gateway that serves this installation."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_served(self) -> bool:
        """Whether somebody listens there. Raises CommandFailed if this user may not ask."""
        try:
            self._connect().close()
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except PermissionError:
            raise CommandFailed(
                "no-permission",
                f"This user may not use {self._path}.",
                "Run the command as root or as a member of the group gatepost, or use --url with a key.",
            ) from None
        return True

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """See Transport."""
        return _exchange(self._connection(), str(self._path), method, target, headers, body)

    def stream(self, target: str) -> Iterator[bytes]:
        """See Transport."""
        return _pieces(self._connection(), str(self._path), target, {})

    def _connection(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("localhost", timeout=_SECONDS)
        connection.sock = self._connect()
        return connection

    def _connect(self) -> socket.socket:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_SECONDS)
            # However deep the folder lies, the name fits into `sun_path`.
            connection.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        except OSError:
            connection.close()
            raise
        finally:
            os.close(folder)
        return connection


class UrlTransport:
    """To an API anywhere, with a key."""

    def __init__(self, url: str, key: str, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandFailed(
                "bad-url", f"{url!r} is no URL of an API.", "Write https://host[:port].", EXIT_USAGE
            )
        self._url = parts._replace(path=parts.path.rstrip("/"))
        self._key = key
        self._ca_file = ca_file

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """See Transport."""
        sent = {**headers, **self._credentials}
        place = self._url.geturl()
        return _exchange(self._connection(), place, method, self._url.path + target, sent, body)

    def stream(self, target: str) -> Iterator[bytes]:
        """See Transport."""
        place = self._url.geturl()
        return _pieces(self._connection(), place, self._url.path + target, self._credentials)

    @property
    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=_SECONDS)
        import ssl

        context = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)


def _exchange(
    connection: http.client.HTTPConnection,
    place: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Reply:
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        octets = answer.read()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, octets)
    except (OSError, http.client.HTTPException) as error:
        raise _unanswered(place, error) from error
    finally:
        connection.close()


def _pieces(
    connection: http.client.HTTPConnection, place: str, target: str, headers: Mapping[str, str]
) -> Iterator[bytes]:
    try:
        connection.request("GET", target, None, dict(headers))
        answer = connection.getresponse()
        if answer.status >= 400:
            raise failure(Reply(answer.status, {}, answer.read()))
        while piece := answer.read1(_PIECE):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise _unanswered(place, error) from error
    finally:
        connection.close()


def _unanswered(place: str, error: Exception) -> CommandFailed:
    return CommandFailed(
        "no-answer",
        f"{place} does not answer: {error or type(error).__name__}.",
        "Look whether the gateway runs there; its log says why if not.",
    )


def failure(reply: Reply) -> CommandFailed:
    """What a command says of a refusal."""
    try:
        document = json.loads(reply.body)
        code, detail, fix = document["code"], document["detail"], document["fix"]
        problems = document.get("problems", ())
    except (ValueError, KeyError, TypeError):
        detail = f"The API answered {reply.status} without saying why."
        code, fix, problems = "bad-answer", "", ()
    status = EXIT_USAGE if code in USAGE_CODES else EXIT_FAILED
    return CommandFailed(code, detail, fix, status, problems)


def _target(path: str, query: Mapping[str, Any]) -> str:
    pairs = [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in query.items()
        for one in (value if isinstance(value, list | tuple) else (value,))
        if one is not None
    ]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _without_none(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if body is None:
        return None
    return {name: value for name, value in body.items() if value is not None}
