"""Whole sessions on a transport in memory: any octets in any pieces."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edges.smtp.host import SmtpHost
from gateway.edges.smtp.limits import SessionLimits
from gateway.edges.smtp.registry import SessionRegistry
from gateway.edges.submission.edge import SubmissionEdge
from gateway.edges.submission.session import SubmissionSession
from gateway.system.clock import ManualClock
from gateway.system.ids import IdSource
from gateway.system.sharedmemory import SharedSlots
from tests.integration.edges.dialogue import plain_token
from tests.integration.edges.doubles import (
    Counting,
    FakeAuthenticator,
    FakeDirectory,
    FakeIntake,
    Log,
    make_identity,
)

LOGIN = b"EHLO fuzz\r\nAUTH PLAIN " + plain_token() + b"\r\n"
MESSAGE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n..x\r\n\r\n.y\n.\r\r\n.\r\n"
CHUNKS = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\n"

# Blocks after which a session is in step whatever came before them.
IN_STEP = st.sampled_from(
    [MESSAGE, CHUNKS, b"NOOP\r\n", b"RSET\r\n", b"BOGUS\r\n", b"\r\n", b"MAIL FROM:<a b>\r\n", b"HELP\r\n",
     b"BDAT 4\r\nQUIT", b"NOOP " + b"x" * 600 + b"\r\n", b"x" * 3000 + b"\r\n", b"EHLO again\r\n"]
)  # fmt: skip
ANYTHING = st.one_of(
    IN_STEP,
    st.binary(max_size=40),
    st.sampled_from(
        [b"DATA\r\n", b"BDAT 10 LAST\r\n", b"RCPT TO:<b@c>\r\n", b"QUIT\r\n", b"\n", b"\r", b".\r\n",
         b"STARTTLS\r\n", b"AUTH LOGIN\r\n", b"*\r\n", b"AUTH PLAIN\r\n", b"MAIL FROM:<>\r\n", b"BDAT x\r\n"]
    ),
)  # fmt: skip


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; TLS is pretended."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711), "ssl_object": self})
        self.written = bytearray()
        self.closed = False

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)

    def write(self, data: Any) -> None:
        assert not self.closed, "written after closing"
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    abort = close


async def converse(pieces: list[bytes]) -> tuple[bytes, FakeIntake, Counting]:
    """What the server says to these pieces, one turn of the loop apart."""
    loop = asyncio.get_running_loop()
    clock = ManualClock()
    registry = SessionRegistry(clock)
    metrics = Counting()
    directory = FakeDirectory(make_identity())
    intake = FakeIntake()
    slots = SharedSlots(8, 1)
    ids = IdSource(clock)
    limits = SessionLimits(message_octets=5000)
    host = SmtpHost("mail.test", limits, clock, ids, registry, Log(), metrics=metrics)  # type: ignore[arg-type]
    session = SubmissionSession(
        SubmissionEdge(host, FakeAuthenticator(directory), directory, intake, slots), loop
    )
    transport = MemoryTransport()
    session.connection_made(transport)
    for piece in pieces:
        session.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(400):
        if session.deadlines.is_waiting or transport.closed:
            break
        await asyncio.sleep(0)
    else:
        raise AssertionError("the session neither waits nor is closed")
    session.connection_lost(None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(registry) == 0
    assert slots.held_by(0) == 0
    slots.close()
    return bytes(transport.written), intake, metrics


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(edges)]


@settings(max_examples=60, deadline=None)
@given(st.lists(ANYTHING, max_size=12), st.lists(st.integers(0, 10_000), max_size=20), st.booleans())
def test_any_octets_are_answered_in_form(blocks: list[bytes], places: list[int], logged_in: bool) -> None:
    stream = (LOGIN if logged_in else b"") + b"".join(blocks)
    written, _, metrics = asyncio.run(converse(cut(stream, places)))
    assert "session_failed" not in metrics.names()
    assert written.endswith(b"\r\n")
    for line in written[:-2].split(b"\r\n"):
        assert re.fullmatch(rb"[2345][0-9]{2}[ -][ -~]*", line), line
        assert len(line) <= 510


@settings(max_examples=60, deadline=None)
@given(st.lists(IN_STEP, max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_the_pieces_change_nothing(blocks: list[bytes], places: list[int]) -> None:
    stream = LOGIN + b"".join(blocks)
    whole, intake_of_whole, _ = asyncio.run(converse([stream]))
    parts, intake_of_parts, _ = asyncio.run(converse(cut(stream, places)))
    assert whole == parts
    taken = [submission.content for submission in intake_of_whole.submissions]
    assert taken == [submission.content for submission in intake_of_parts.submissions]
    assert set(taken) <= {b".x\r\n\r\ny\n.\r\r\n", b"abc"}


class Forgetful(MemoryTransport):
    """Keeps nothing of what is written."""

    def write(self, data: Any) -> None:
        pass


async def memory_of_a_connection(count: int) -> float:
    """Octets each of `count` connections takes that said EHLO and wait."""
    loop = asyncio.get_running_loop()
    clock = ManualClock()
    directory = FakeDirectory(make_identity())
    slots = SharedSlots(64, 1)
    limits = SessionLimits(connections_per_address=count)
    host = SmtpHost("mail.test", limits, clock, IdSource(clock), SessionRegistry(clock), Log())
    edge = SubmissionEdge(host, FakeAuthenticator(directory), directory, FakeIntake(), slots)
    transports = [Forgetful() for _ in range(count)]
    sessions = []
    tracemalloc.start()
    for transport in transports:
        session = SubmissionSession(edge, loop)
        session.connection_made(transport)
        session.data_received(b"EHLO client.example\r\n")
        sessions.append(session)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    octets = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert all(session.deadlines.is_waiting for session in sessions)
    for session in sessions:
        session.connection_lost(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    slots.close()
    return octets / count


def test_an_idle_connection_is_small() -> None:
    """SECURITY T6: at most 3 KB for a connection before its login, beyond TLS."""
    assert asyncio.run(memory_of_a_connection(300)) < 3072
