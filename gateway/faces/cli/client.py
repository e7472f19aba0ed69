"""The command line as a client of the API: over the Unix socket, over a URL, or in this very process."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

from gateway.faces.cli.output import EXIT_FAILED, EXIT_USAGE, USAGE_CODES, CommandFailed

_SECONDS = 600.0
_PAGE = 500
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
            raise _failed(reply)
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
        connection = http.client.HTTPConnection("localhost", timeout=_SECONDS)
        connection.sock = self._connect()
        return _exchange(connection, str(self._path), method, target, headers, body)

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
        self._url = parts
        self._key = key
        self._ca_file = ca_file

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """See Transport."""
        host, port = self._url.hostname or "", self._url.port
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            import ssl

            context = ssl.create_default_context(cafile=self._ca_file)
            connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
        sent = {**headers, "Authorization": f"Bearer {self._key}"}
        return _exchange(connection, self._url.geturl(), method, self._url.path + target, sent, body)


class LocalTransport:
    """To the same application in this process, over the databases: while nothing serves."""

    def __init__(self, app: Callable[..., Any], peer: str) -> None:
        """`peer`: who asks, as the server would name a user on the Unix socket."""
        self._app = app
        self._peer = peer

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """See Transport."""
        import asyncio

        return asyncio.run(self._send(method, target, headers, body or b""))

    async def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            # From 2.4 on nobody listens for a disconnection while a response goes out: here there is none.
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self._peer, 0),
            "server": ("localhost", 0),
            "state": {},
        }
        requests = iter(({"type": "http.request", "body": body, "more_body": False},))
        messages: list[Any] = []

        async def receive() -> Any:
            return next(requests, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            messages.append(message)

        try:
            await self._app(scope, receive, send)
        except Exception:
            # What was unforeseen is in the log and answered with 500 by now; if not, it is told here.
            if not messages:
                raise
        start = messages[0]
        return Reply(
            start["status"],
            {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(message.get("body", b"") for message in messages[1:]),
        )


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
        raise CommandFailed(
            "no-answer",
            f"{place} does not answer: {error or type(error).__name__}.",
            "Look whether the gateway runs there; its log says why if not.",
        ) from error
    finally:
        connection.close()


def _failed(reply: Reply) -> CommandFailed:
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
