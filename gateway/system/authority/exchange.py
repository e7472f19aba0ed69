"""One question to one name server and back: over UDP, over TCP where the answer does not fit.

Whoever answers must know the query's number, the port it came from, and which letters were capitals. All
three are random, and sockets are changed often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import structlog

from gateway.system.authority.wire import (
    LONGEST_MESSAGE,
    Malformed,
    Reply,
    decode_reply,
    echoes,
    encode_query,
    encode_question,
)
from gateway.system.observation import Question

RandomBits = Callable[[int], int]
"""So many random bits as a number, such as `secrets.randbits`."""

Again = Callable[[], Awaitable[None]]
"""Called before a question is asked a second time, over TCP; what it raises ends the question."""

_QUERIES_PER_SOCKET = 100
_MOST_OVER_TCP = 10_000
_CASE_BITS = 256


class NoReply(Exception):
    """The server did not answer; the text says how that was seen."""


@dataclass(frozen=True, slots=True)
class Server:
    """An IP address and a port."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Exchange:
    """Asks name servers in one event loop, at most `in_flight` questions at once. Close it at the end."""

    def __init__(self, random_bits: RandomBits, *, in_flight: int, timeout_seconds: float = 2.0) -> None:
        self._random_bits = random_bits
        self._room = asyncio.Semaphore(in_flight)
        self._timeout = timeout_seconds
        self._peers: dict[Server, _Peer] = {}
        self._tcp_first: dict[tuple[Server, Question], None] = {}
        """Questions that UDP had no whole answer to: once asked twice, they are asked once from then on."""

    async def ask(self, server: Server, question: Question, *, recursive: bool, again: Again) -> Reply:
        """The server's answer, whole. Raises NoReply, Malformed, and what `again` raises."""
        section = encode_question(question, self._random_bits(_CASE_BITS))
        async with self._room:
            if (server, question) not in self._tcp_first:
                message = await self._over_udp(server, section, recursive=recursive)
                if message is not None and not (reply := decode_reply(message, section)).truncated:
                    return reply
                self._note_tcp(server, question)
                await again()
            reply = await self._whole(server, question, section, recursive=recursive)
        if reply.truncated:
            raise Malformed("an answer that is cut off over TCP too")
        return reply

    async def _whole(self, server: Server, question: Question, section: bytes, *, recursive: bool) -> Reply:
        try:
            return decode_reply(await self._over_tcp(server, section, recursive=recursive), section)
        except NoReply:
            # Perhaps UDP does better by now.
            self._tcp_first.pop((server, question), None)
            raise

    def _note_tcp(self, server: Server, question: Question) -> None:
        self._tcp_first[server, question] = None
        if len(self._tcp_first) > _MOST_OVER_TCP:
            self._tcp_first.pop(next(iter(self._tcp_first)))

    async def close(self) -> None:
        """Close every socket; questions that are going on fail."""
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()
        # The loop lets go of a socket in its next turn.
        await asyncio.sleep(0)

    async def _over_udp(self, server: Server, section: bytes, *, recursive: bool) -> bytes | None:
        """The answer; None where one came that only TCP can tell from a forged one."""
        peer = await self._peer(server)
        number = self._random_bits(16)
        while number in peer.waiting:
            number = self._random_bits(16)
        return await peer.ask(
            number, encode_query(number, section, recursive=recursive), section, self._timeout
        )

    async def _peer(self, server: Server) -> _Peer:
        peer = self._peers.get(server)
        if peer is not None and not peer.is_used_up:
            return peer
        try:
            _, made = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Peer(server), remote_addr=(server.address, server.port)
            )
        except OSError as error:
            raise NoReply(f"cannot be reached ({error.strerror or error})") from error
        peer = self._peers.get(server)
        if peer is not None and not peer.is_used_up:
            # Somebody else has made one at the same time.
            made.close()
            return peer
        if peer is not None:
            peer.retire()
        self._peers[server] = made
        return made

    async def _over_tcp(self, server: Server, section: bytes, *, recursive: bool) -> bytes:
        query = encode_query(self._random_bits(16), section, recursive=recursive)
        try:
            async with asyncio.timeout(self._timeout * 2):
                return await _stream(server, query, section)
        except TimeoutError:
            raise NoReply("no answer over TCP in time") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise NoReply(f"no answer over TCP ({type(error).__name__})") from error


class _Peer(asyncio.DatagramProtocol):
    """A connected UDP socket, and the questions whose answers it waits for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._left = _QUERIES_PER_SOCKET
        self._retired = False
        self.waiting: dict[int, tuple[bytes, asyncio.Future[bytes | None]]] = {}

    @property
    def is_used_up(self) -> bool:
        """Whether the next question should come from another port."""
        return self._left <= 0 or self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    async def ask(self, number: int, query: bytes, section: bytes, seconds: float) -> bytes | None:
        """Send a query and wait. Raises NoReply."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()
        self._left -= 1
        self.waiting[number] = (section, future)
        timer = loop.call_later(seconds, _fail, future, "no answer in time")
        try:
            self._transport.sendto(query)
            return await future
        finally:
            timer.cancel()
            del self.waiting[number]
            if self._retired and not self.waiting:
                self.close()

    def datagram_received(self, data: bytes, _: object) -> None:
        section, future = self.waiting.get(int.from_bytes(data[:2], "big"), (b"", None))
        if future is None or future.done():
            return
        if echoes(data, section):
            future.set_result(data)
        elif echoes(data[:12] + data[12:].lower(), section.lower()):
            # Its server does not keep capitals, or somebody has guessed: over TCP nobody can.
            future.set_result(None)
        else:
            log = structlog.get_logger("gateway.dns")
            log.warning("dns_answer_refused", server=str(self._server), reason="it answers another question")
            _fail(future, "its answer was to another question")

    def error_received(self, error: Exception) -> None:
        self._fail_all(f"cannot be reached ({error})")

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._fail_all("the socket was closed")

    def retire(self) -> None:
        """Close when the last answer has come."""
        self._retired = True
        if not self.waiting:
            self.close()

    def close(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.close()

    def _fail_all(self, why: str) -> None:
        for _, future in self.waiting.values():
            _fail(future, why)


def _fail(future: asyncio.Future[bytes | None], why: str) -> None:
    if not future.done():
        future.set_exception(NoReply(why))


async def _stream(server: Server, query: bytes, section: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await reader.readexactly(2), "big")
        if length > LONGEST_MESSAGE:
            raise Malformed(f"an answer of {length} octets")
        message = await reader.readexactly(length)
    finally:
        writer.close()
    # Nobody between us can have made this up: capitals do not matter here.
    if message[:2] != query[:2] or not echoes(message[:12] + message[12:].lower(), section.lower()):
        raise Malformed("an answer to another question")
    return message
