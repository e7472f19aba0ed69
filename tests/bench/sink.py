"""An SMTP sink in a process of its own: takes everything, counts it, says when the first and last came.

`python -m tests.bench.sink PORT` serves until its standard input closes; each line read from it is
answered with the figures so far as one line of JSON, and `reset` also zeroes them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop


class Counter:
    """What has arrived since the last reset; times in seconds since 1970."""

    def __init__(self) -> None:
        self.messages = self.octets = self.connections = 0
        self.first_at = self.last_at = 0.0

    def arrived(self, octets: int) -> None:
        self.messages += 1
        self.octets += octets
        self.last_at = time.time()
        self.first_at = self.first_at or self.last_at


class Session(asyncio.Protocol):
    """One relay connection; PIPELINING offered, nothing refused."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._buffer = bytearray()
        self._in_data = False
        self._searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._counter.connections += 1
        transport.write(b"220 sink.bench.test ESMTP\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies = bytearray()
        while self._step(replies):
            pass
        if replies:
            self._transport.write(bytes(replies))  # type: ignore[attr-defined]

    def _step(self, replies: bytearray) -> bool:
        if self._in_data:
            return self._take_message(replies)
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        verb = bytes(self._buffer[:4]).upper()
        del self._buffer[: end + 2]
        if verb == b"EHLO":
            replies += b"250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE\r\n"
        elif verb == b"DATA":
            self._in_data, self._searched = True, 0
            replies += b"354 go on\r\n"
        elif verb == b"QUIT":
            replies += b"221 bye\r\n"
            self._transport.write(bytes(replies))  # type: ignore[attr-defined]
            replies.clear()
            self._transport.close()
        else:
            replies += b"250 2.0.0 ok\r\n"
        return True

    def _take_message(self, replies: bytearray) -> bool:
        end = self._buffer.find(b"\r\n.\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 4)
            return False
        self._counter.arrived(end)
        del self._buffer[: end + 5]
        self._in_data = False
        replies += b"250 2.0.0 taken\r\n"
        return True


async def serve(port: int) -> None:
    counter = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(counter), "127.0.0.1", port, backlog=1024)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        print(json.dumps(vars(counter)), flush=True)
        if line.strip() == b"reset":
            counter.__init__()  # type: ignore[misc]
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
