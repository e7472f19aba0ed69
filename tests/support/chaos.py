"""SIGKILL under load, and the count afterwards: lost, damaged, twice.

`make chaos` runs it large; a small one is part of the acceptance tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import smtplib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.gateway import Gateway, free_port, wait_until

SESSIONS = 12


@dataclass
class ChaosResult:
    """What the count gave. Numbers name messages; every try of a client has a number of its own."""

    acknowledged: int
    kills: int
    lost: list[int]
    damaged: list[int]
    duplicates: int
    possible_duplicates: int
    unlogged_duplicates: list[int] = field(default_factory=list)
    slowest_restart_seconds: float = 0.0


class RecordingSink:
    """An SMTP server on a thread of its own that notes which numbers arrive and whether they are whole."""

    def __init__(self) -> None:
        self.port = free_port()
        self.arrived: Counter[int] = Counter()
        self.damaged: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        started = threading.Event()
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._serve(started)))
        self._thread.start()
        started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())

    async def _end(self) -> None:
        self._server.close()
        sessions = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _serve(self, started: threading.Event) -> None:
        self._server = await asyncio.start_server(self._session, "127.0.0.1", self.port, limit=1 << 22)
        started.set()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"220 sink ESMTP\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 DSN\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    # As a real peer: the message is taken before the answer is sent.
                    self._note(content[:-3])
                    await asyncio.sleep(0.002)
                    writer.write(b"250 2.0.0 taken\r\n")
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 ok\r\n")
        writer.close()

    def _note(self, content: bytes) -> None:
        header, _, body = content.partition(b"\r\n\r\n")
        number = int(header.partition(b"X-Number: ")[2].split(b"\r\n")[0])
        digest = header.partition(b"X-Digest: ")[2].split(b"\r\n")[0].decode()
        self.arrived[number] += 1
        if hashlib.sha256(body).hexdigest() != digest:
            self.damaged.append(number)


class Chaos:
    """One run: `messages` acknowledged, `kills` spread over them, all randomness from `seed`."""

    def __init__(self, folder: Path, *, messages: int, kills: int, seed: int) -> None:
        self._messages = messages
        self._kills = kills
        self._random = random.Random(seed)
        self._sink = RecordingSink()
        self._gateway = Gateway(folder / "var")
        self._acknowledged: dict[int, str] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._slowest = 0.0

    def run(self) -> ChaosResult:
        self._sink.start()
        try:
            self._gateway.cli(
                "shard", "route", self._gateway.state["shard"], f"smtp://127.0.0.1:{self._sink.port}"
            )
            self._gateway.start()
            clients = [threading.Thread(target=self._client, args=(index,)) for index in range(SESSIONS)]
            for client in clients:
                client.start()
            done = self._kill_now_and_then()
            for client in clients:
                client.join()
            self._await_arrivals()
            logged = self._logged_duplicates()
            self._gateway.stop()
            return self._count(done, logged)
        finally:
            if self._gateway.process is not None:
                self._gateway.kill()
            self._sink.stop()

    def _count(self, kills: int, logged: list[str]) -> ChaosResult:
        arrived = self._sink.arrived
        twice = [number for number, count in arrived.items() if count > 1]
        return ChaosResult(
            acknowledged=len(self._acknowledged),
            kills=kills,
            lost=sorted(number for number in self._acknowledged if not arrived[number]),
            damaged=self._sink.damaged,
            duplicates=sum(arrived[number] - 1 for number in twice),
            possible_duplicates=len(logged),
            unlogged_duplicates=[
                n for n in twice if n in self._acknowledged and self._acknowledged[n] not in logged
            ],
            slowest_restart_seconds=self._slowest,
        )

    def _logged_duplicates(self) -> list[str]:
        return [
            line["message_id"]
            for line in self._gateway.log_lines()
            if line.get("event") == "possible_duplicate"
        ]

    def _await_arrivals(self) -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: all(self._sink.arrived[n] for n in self._acknowledged), 60, "arrival of all")

    def _kill_now_and_then(self) -> int:
        """Kill a worker, and every third time everything; the next kill waits for its share of mail."""
        for kill in range(1, self._kills + 1):
            share = self._messages * kill // (self._kills + 1)
            wait_until(lambda share=share: len(self._acknowledged) >= share, 300, "progress of the load")
            if kill % 3 == 0:
                self._gateway.kill()
                began = time.monotonic()
                self._gateway.start()
                self._slowest = max(self._slowest, time.monotonic() - began)
            else:
                workers = self._gateway.children()
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._random.choice(workers).kill()
        return self._kills

    def _client(self, index: int) -> None:
        own = random.Random(index)
        while self._wanted():
            try:
                with self._gateway.smtp() as session:
                    while self._wanted():
                        self._send_one(session, own)
            except (TimeoutError, OSError, smtplib.SMTPException):
                time.sleep(0.1)

    def _wanted(self) -> bool:
        return len(self._acknowledged) < self._messages

    def _send_one(self, session: smtplib.SMTP, own: random.Random) -> None:
        with self._lock:
            self._next += 1
            number = self._next
        body = (f"message {number}\r\n" * own.randint(1, 200)).encode()
        sender = self._gateway.address
        header = (
            f"From: {sender}\r\nTo: x@d{number % 5}.example\r\nSubject: {number}\r\nX-Number: {number}\r\n"
            f"X-Digest: {hashlib.sha256(body).hexdigest()}\r\n\r\n"
        ).encode()
        session.mail(sender)
        session.rcpt(f"x@d{number % 5}.example")
        code, reply = session.data(header + body)
        if code == 250:
            with self._lock:
                self._acknowledged[number] = reply.decode().split()[3]
        elif code in (421, 451):
            raise smtplib.SMTPServerDisconnected(reply.decode())
        else:
            raise AssertionError(f"unexpected reply {code} {reply!r}")
