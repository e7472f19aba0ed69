"""An authority and resolver of the bench, in a process of its own: what is asked of it is counted each second.

Every name has the same name server; no name has anything else.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import struct
import time
from collections import Counter
from multiprocessing.connection import Connection

import uvloop

from tests.support.gateway import free_port

_NS, _A, _TXT = 2, 1, 16


def _soa() -> bytes:
    rdata = b"\x02ns\x05bench\x04test\x00" + b"\x01h\x00" + struct.pack("!IIIII", 1, 3600, 600, 86_400, 60)
    return b"\x05bench\x04test\x00" + struct.pack("!HHIH", 6, 1, 60, len(rdata)) + rdata


_ABSENT = _soa()
_SERVER = b"\x02ns\x05bench\x04test\x00"


class Zone(asyncio.DatagramProtocol):
    """Answers from octets to octets."""

    def __init__(self) -> None:
        self.seconds: Counter[int] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        end = data.index(b"\x00", 12) + 5
        question, kind = data[12:end], int.from_bytes(data[end - 4 : end - 2], "big")
        if not data[2] & 1:
            # Without RD it is a question to the authority.
            self.seconds[int(time.monotonic())] += 1
        if kind == _NS:
            return self._say(
                data, question, client, struct.pack("!HHIH", _NS, 1, 3600, len(_SERVER)) + _SERVER
            )
        if kind == _A:
            return self._say(data, question, client, struct.pack("!HHIH", _A, 1, 3600, 4) + b"\x7f\0\0\x01")
        return self._say(data, question, client, None)

    def _say(self, query: bytes, question: bytes, client: tuple[str, int], row: bytes | None) -> None:
        flags = b"\x84\x80" if row is not None else b"\x84\x83"
        counts = b"\0\x01\0\x01\0\0\0\0" if row is not None else b"\0\x01\0\0\0\x01\0\0"
        body = b"\xc0\x0c" + row if row is not None else _ABSENT
        self._transport.sendto(query[:2] + flags + counts + question + body, client)


class ZoneProcess:
    """The zone, served until `stop`."""

    def __init__(self) -> None:
        self.port = free_port()
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.port, theirs), daemon=True)
        self._process.start()
        self._ours.recv()

    def counted(self) -> list[int]:
        """Questions to the authority in each second since the last call, first and last left out."""
        self._ours.send("count")
        counts: dict[int, int] = self._ours.recv()
        return [counts[second] for second in sorted(counts)][1:-1]

    def stop(self) -> None:
        """End it."""
        self._ours.send("stop")
        self._process.join(5)


def _serve(port: int, pipe: Connection) -> None:
    uvloop.run(_run(port, pipe))


async def _run(port: int, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    _, zone = await loop.create_datagram_endpoint(Zone, local_addr=("127.0.0.1", port))
    pipe.send("ready")
    while await asyncio.to_thread(pipe.recv) != "stop":
        pipe.send(dict(zone.seconds))
        zone.seconds.clear()
