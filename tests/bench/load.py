"""An SMTP load generator: many sessions with STARTTLS, AUTH PLAIN and PIPELINING, as a cheap client would.

`python -m tests.bench.load '{"port": …}'` prints one JSON document with the figures of the run. It shares the
machine with what it measures, so it works on a protocol class, not on streams.
"""

from __future__ import annotations

import asyncio
import base64
import json
import resource
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop


@dataclass
class Plan:
    """What to send: `messages` in all, over `sessions` at once, `per_connection` on each (0: no limit).

    `seconds`: the run fails if it takes longer.
    """

    port: int
    login: str
    password: str
    sender: str
    messages: int
    sessions: int
    size: int
    per_connection: int = 0
    recipient_domains: int = 5
    starttls: bool = True
    host: str = "127.0.0.1"
    seconds: float = 300.0


@dataclass
class Tally:
    """What happened: accepted count, refusals, seconds from MAIL FROM to the answer, first and last time."""

    accepted: int = 0
    refused: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    started_at: float = 0.0
    ended_at: float = 0.0


def make_message(sender: str, number: int, size: int) -> bytes:
    """A text message of about `size` octets in all."""
    head = (
        f"From: Bench <{sender}>\r\nTo: someone@d{number % 5}.bench.test\r\nSubject: message {number} of the bench\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@bench.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    line = b"The quick brown fox jumps over the lazy dog and is back before supper, 72.\r\n"
    lines = max(1, (size - len(head)) // len(line))
    return head + line * lines


class Client(asyncio.Protocol):
    """One SMTP session: `open`, then `send_all`, then `close`."""

    def __init__(self, plan: Plan, context: ssl.SSLContext, message: bytes, tally: Tally) -> None:
        self._plan = plan
        self._context = context
        self._message = message + b".\r\n"
        self._tally = tally
        self._transport: asyncio.Transport
        self._buffer = b""
        self._replies: list[bytes] = []
        self._wanted = 0
        self._answered: asyncio.Future[None] | None = None
        self._numbers: Iterator[int] = iter(())
        self._done: asyncio.Future[None] | None = None
        self._sending = False
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self._answered, self._done):
            if future is not None and not future.done():
                future.set_exception(exc or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        lines = (self._buffer + data).split(b"\r\n")
        self._buffer = lines.pop()
        self._replies += [line for line in lines if line[3:4] != b"-"]
        if self._done is not None:
            self._step(self._done)
        elif self._answered is not None and len(self._replies) >= self._wanted:
            answered, self._answered = self._answered, None
            answered.set_result(None)

    async def open(self) -> None:
        """Connect, STARTTLS and AUTH PLAIN."""
        plan, loop = self._plan, asyncio.get_running_loop()
        implicit = None if plan.starttls else self._context
        await loop.create_connection(lambda: self, plan.host, plan.port, ssl=implicit)
        await self._ask(b"", b"220")
        await self._ask(b"EHLO bench.test\r\n", b"250")
        if plan.starttls:
            await self._ask(b"STARTTLS\r\n", b"220")
            upgraded = await loop.start_tls(self._transport, self, self._context, server_hostname="localhost")
            assert upgraded is not None
            self._transport = upgraded
            await self._ask(b"EHLO bench.test\r\n", b"250")
        token = base64.b64encode(f"\0{plan.login}\0{plan.password}".encode())
        await self._ask(b"AUTH PLAIN " + token + b"\r\n", b"235")

    async def send_all(self, numbers: list[int]) -> None:
        """Send a message for each number, one after the other."""
        self._numbers = iter(numbers)
        self._done = asyncio.get_running_loop().create_future()
        self._next(self._done)
        await self._done
        self._done = None

    async def close(self) -> None:
        """QUIT, and close when it is answered."""
        await self._ask(b"QUIT\r\n", b"221")
        self._transport.close()

    def _step(self, done: asyncio.Future[None]) -> None:
        if not self._sending:
            if len(self._replies) < 3:
                return
            if not self._replies[2].startswith(b"354"):
                self._tally.refused.append(b" / ".join(self._replies).decode())
                self._next(done)
                return
            self._replies.clear()
            self._sending = True
            self._transport.write(self._message)
        elif self._replies:
            now = time.perf_counter()
            self._tally.latencies.append(now - self._began)
            if self._replies[0].startswith(b"250"):
                self._tally.accepted += 1
                self._tally.ended_at = time.time()
            else:
                self._tally.refused.append(self._replies[0].decode())
            self._next(done)

    def _next(self, done: asyncio.Future[None]) -> None:
        self._replies.clear()
        self._sending = False
        number = next(self._numbers, None)
        if number is None:
            if not done.done():
                done.set_result(None)
            return
        self._began = time.perf_counter()
        domain = f"d{number % self._plan.recipient_domains}.bench.test"
        self._transport.write(
            f"MAIL FROM:<{self._plan.sender}>\r\nRCPT TO:<r{number % 97}@{domain}>\r\nDATA\r\n".encode()
        )

    async def _ask(self, line: bytes, expected: bytes) -> None:
        self._wanted = 1
        self._answered = asyncio.get_running_loop().create_future()
        if line:
            self._transport.write(line)
        elif self._replies:
            self._answered.set_result(None)
        await self._answered
        reply = self._replies[0]
        self._replies.clear()
        if not reply.startswith(expected):
            raise RuntimeError(f"{line[:10]!r}: expected {expected!r}, got {reply!r}")


async def session(plan: Plan, context: ssl.SSLContext, numbers: list[int], tally: Tally) -> None:
    """All messages of one session, over as many connections as the plan says."""
    message = make_message(plan.sender, 0, plan.size)
    per_connection = plan.per_connection or len(numbers)
    for start in range(0, len(numbers), per_connection):
        client = Client(plan, context, message, tally)
        await client.open()
        await client.send_all(numbers[start : start + per_connection])
        await client.close()


async def run(plan: Plan) -> dict[str, Any]:
    """Run the plan and give its figures."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tally = Tally(started_at=time.time())
    shares = [list(range(start, plan.messages, plan.sessions)) for start in range(plan.sessions)]
    async with asyncio.timeout(plan.seconds):
        await asyncio.gather(*(session(plan, context, share, tally) for share in shares if share))
    ordered = sorted(tally.latencies) or [0.0]
    seconds = tally.ended_at - tally.started_at
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "accepted": tally.accepted,
        "refused": len(tally.refused),
        "first_refusal": tally.refused[0] if tally.refused else None,
        "seconds": seconds,
        "accepted_per_second": tally.accepted / seconds if seconds > 0 else 0.0,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "started_at": tally.started_at,
        "ended_at": tally.ended_at,
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(Plan(**json.loads(sys.argv[1]))))))
