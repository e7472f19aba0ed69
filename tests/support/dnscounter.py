"""A way to a name server on which queries are counted: what really reaches it, over UDP and TCP."""

from __future__ import annotations

import socket
import socketserver
import threading

from tests.support.gateway import free_port

_SECONDS = 5.0


class CountingWay:
    """Passes each query on `port` to the server at `target` on loopback, and its answer back."""

    def __init__(self, target: int) -> None:
        self._lock = threading.Lock()
        self.datagrams = 0
        self.streams = 0
        self.streams_ever = 0
        """Queries over TCP, also those that were `taken`."""
        way = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, own = self.request
                way._count(datagrams=1)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
                    there.settimeout(_SECONDS)
                    there.sendto(data, ("127.0.0.1", target))
                    own.sendto(there.recv(65_535), self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = self.rfile.read(2)
                query = self.rfile.read(int.from_bytes(head, "big"))
                way._count(streams=1)
                with socket.create_connection(("127.0.0.1", target), _SECONDS) as there:
                    there.sendall(head + query)
                    with there.makefile("rb") as answers:
                        length = answers.read(2)
                        self.wfile.write(length + answers.read(int.from_bytes(length, "big")))

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.port = free_port()
        self._servers = (
            socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Datagram),
            socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Stream),
        )
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def taken(self) -> int:
        """How many queries came since this was asked last."""
        with self._lock:
            count = self.datagrams + self.streams
            self.datagrams = self.streams = 0
        return count

    def close(self) -> None:
        """Pass nothing on any more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(_SECONDS)

    def _count(self, datagrams: int = 0, streams: int = 0) -> None:
        with self._lock:
            self.datagrams += datagrams
            self.streams += streams
            self.streams_ever += streams
