"""An SMTP load generator: many sessions with STARTTLS, AUTH PLAIN and PIPELINING, as a cheap client would.

`python -m tests.bench.load '{"port": …}'` prints one JSON document with the figures of the run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop


@dataclass
class Plan:
    """What to send: `messages` in all, over `sessions` at once, `per_connection` on each (0: no limit)."""

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


@dataclass
class Tally:
    """What happened: accepted count, refusals, seconds of each accept, first and last 250."""

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


class Client:
    """One SMTP session on streams."""

    def __init__(self, plan: Plan, context: ssl.SSLContext) -> None:
        self._plan = plan
        self._context = context
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        plan = self._plan
        implicit = None if plan.starttls else self._context
        self._reader, self._writer = await asyncio.open_connection(
            plan.host, plan.port, ssl=implicit, limit=1 << 20
        )
        await self._expect(b"220")
        await self._command(b"EHLO bench.test\r\n", b"250")
        if plan.starttls:
            await self._command(b"STARTTLS\r\n", b"220")
            await self._writer.start_tls(self._context, server_hostname="localhost")
            await self._command(b"EHLO bench.test\r\n", b"250")
        token = base64.b64encode(f"\0{plan.login}\0{plan.password}".encode())
        await self._command(b"AUTH PLAIN " + token + b"\r\n", b"235")

    async def send(self, number: int, message: bytes) -> str | None:
        """Send one message; the refusal's text, or None when it was accepted."""
        domain = f"d{number % self._plan.recipient_domains}.bench.test"
        self._writer.write(
            f"MAIL FROM:<{self._plan.sender}>\r\nRCPT TO:<r{number % 97}@{domain}>\r\nDATA\r\n".encode()
        )
        replies = [await self._reply() for _ in range(3)]
        if not replies[2].startswith(b"354"):
            return b" / ".join(replies).decode()
        self._writer.write(message + b".\r\n")
        reply = await self._reply()
        return None if reply.startswith(b"250") else reply.decode()

    async def close(self) -> None:
        self._writer.write(b"QUIT\r\n")
        await self._reader.read(512)
        self._writer.close()

    async def _command(self, line: bytes, expected: bytes) -> None:
        self._writer.write(line)
        await self._expect(expected)

    async def _expect(self, code: bytes) -> None:
        reply = await self._reply()
        if not reply.startswith(code):
            raise RuntimeError(f"expected {code!r}, got {reply!r}")

    async def _reply(self) -> bytes:
        while True:
            line = await self._reader.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            if line[3:4] != b"-":
                return line


async def session(plan: Plan, context: ssl.SSLContext, numbers: list[int], tally: Tally) -> None:
    message = make_message(plan.sender, 0, plan.size)
    per_connection = plan.per_connection or len(numbers)
    for start in range(0, len(numbers), per_connection):
        client = Client(plan, context)
        await client.open()
        for number in numbers[start : start + per_connection]:
            began = time.perf_counter()
            refusal = await client.send(number, message)
            tally.latencies.append(time.perf_counter() - began)
            if refusal is None:
                tally.accepted += 1
                tally.ended_at = time.time()
            else:
                tally.refused.append(refusal)
        await client.close()


async def run(plan: Plan) -> dict[str, Any]:
    """Run the plan and give its figures."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tally = Tally(started_at=time.time())
    shares = [list(range(start, plan.messages, plan.sessions)) for start in range(plan.sessions)]
    await asyncio.gather(*(session(plan, context, share, tally) for share in shares if share))
    ordered = sorted(tally.latencies)
    seconds = tally.ended_at - tally.started_at
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
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(Plan(**json.loads(sys.argv[1]))))))
