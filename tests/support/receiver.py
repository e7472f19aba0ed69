"""A web server on a thread that receives webhooks and answers as a test wants."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request; the names of its fields in lower case."""

    path: str
    fields: Mapping[str, str]
    body: bytes


class Receiver:
    """Answers each request with the next of `answers` (statuses; the last one stays) until `close`.

    Clear `open` to let requests wait, set it to let them go on.
    """

    def __init__(self, *answers: int, tls: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers) or [204]
        self.received: list[Received] = []
        self.fields: dict[str, str] = {}
        self.open = threading.Event()
        self.open.set()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver._take(Received(self.path, _lowered(self.headers), body))
                receiver.open.wait(30)
                self.send_response(status)
                for name, value in receiver.fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/in", scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Where it receives."""
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def events(self) -> list[str]:
        """The ids of the events received, in order."""
        return [one.fields["webhook-id"] for one in self.received]

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _take(self, request: Received) -> int:
        with self._lock:
            self.received.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def _lowered(fields: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in fields.items()}
