"""What is long is read piece by piece, over HTTP and in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.faces.cli.client import ApiClient, UrlTransport
from gateway.faces.cli.local import LocalTransport
from gateway.faces.cli.output import CommandFailed

PROBLEM = json.dumps({"code": "not-found", "detail": "There is no x.", "fix": "Look."}).encode()


class Application:
    """Sends `count` lines, each of them a piece; remembers how many it has sent."""

    def __init__(self, count: int, status: int = 200, trouble: Exception | None = None) -> None:
        self.count = count
        self.status = status
        self.trouble = trouble
        self.sent = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert (scope["path"], scope["query_string"]) == ("/x", b"tenant=acme")
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        for number in range(self.count):
            body = PROBLEM if self.status >= 400 else b"%d\n" % number
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self.sent += 1
        if self.trouble is not None:
            raise self.trouble
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def client(app: Application) -> ApiClient:
    """A client of an application in this process."""
    return ApiClient(LocalTransport(app, "uid:0"))


def test_every_line_comes_once_and_in_order() -> None:
    assert list(client(Application(1_000)).lines("/x", tenant="acme")) == [str(n) for n in range(1_000)]


def test_no_more_is_made_than_is_read_and_who_stops_reading_is_not_waited_for() -> None:
    app = Application(1_000)
    lines = client(app).lines("/x", tenant="acme")
    assert [next(lines) for _ in range(10)] == [str(n) for n in range(10)]
    assert app.sent < 30
    lines.close()  # type: ignore[attr-defined]
    assert app.sent < 30


def test_a_refusal_is_told_and_so_is_what_went_wrong_on_the_way() -> None:
    with pytest.raises(CommandFailed, match="There is no x"):
        list(client(Application(1, status=404)).lines("/x", tenant="acme"))
    app = Application(2, trouble=RuntimeError("power failure"))
    lines = client(app).lines("/x", tenant="acme")
    assert [next(lines), next(lines)] == ["0", "1"]
    with pytest.raises(RuntimeError, match="power failure"):
        next(lines)


class Handler(BaseHTTPRequestHandler):
    """Answers /x in chunks that end anywhere, and refuses all else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer key"
        self.send_response(200 if self.path == "/x" else 404)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = (b'{"a"', b":1}\n{", b'"b": "\xc3', b'\xa4"}') if self.path == "/x" else (PROBLEM,)
        for piece in (*pieces, b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where a server answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_lines_over_http_are_whole_however_they_were_cut(url: str) -> None:
    api = ApiClient(UrlTransport(url, "key"))
    assert list(api.lines("/x")) == ['{"a":1}', '{"b": "ä"}']
    with pytest.raises(CommandFailed, match="There is no x"):
        list(api.lines("/y"))
    with pytest.raises(CommandFailed, match="does not answer"):
        list(ApiClient(UrlTransport("http://127.0.0.1:1", "key")).lines("/x"))
