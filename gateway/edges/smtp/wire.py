"""The bytes of one SMTP connection, on aiosmtpd's `SMTP` (1.4.6): in, out, waiting, TLS, the end.

Kept of the base is what is good: the protocol class itself, the `Session` record, `smtp_*` methods found by
name with their `@syntax`, one `_handle_client` coroutine a connection with `push` for replies, and forgetting
all state after STARTTLS. What stays away, and why:

- its constructor: it looks through all methods of itself and of a handler, logs, clears a dict that all
  connections share, and makes a `StreamReader` and its queues; 90 µs and several KB a connection
- its `StreamReader`: it gives one line for one wake-up; here whole buffers go to the readers of
  `gateway.edges.smtp.reader`, and the replies to pipelined commands are written at once
- its timer, re-armed by every command: here a sweep asks `Deadlines` once a second
- its STARTTLS on `asyncio.sslproto`: `loop.start_tls` is public, and under uvloop in C
- its cancelling of the handler when the client leaves, which can hit a commit: here the handler is told, and
  goes on to the end of its command
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiosmtpd.smtp import SMTP

from gateway.edges.smtp.deadlines import Deadlines
from gateway.edges.smtp.host import SmtpHost
from gateway.edges.smtp.reader import CommandReader
from gateway.mail.reply import Reply

BUFFER_OCTETS = 64 * 1024
"""How much may lie in the buffer while a command is worked on, before reading from the socket stops."""
ENVELOPE_OCTETS = 2048
"""MAIL or RCPT with CRLF: 512 (RFC 5321 §4.5.3.1.4), and what SIZE, AUTH=, DSN … add, rounded up."""


class ConnectionGone(Exception):
    """The client has left; there is nobody to answer."""


class SmtpWire(SMTP):
    """Gathers what comes in one buffer and writes replies together; knows nothing of commands.

    Slots, because a connection that waits should cost little: without them a dict of 2 KB.
    """

    __slots__ = (
        "_admitted",
        "_buffer",
        "_eof",
        "_handler_coroutine",
        "_left",
        "_lines",
        "_lost",
        "_octets_in",
        "_over",
        "_reading_paused",
        "_replies",
        "_unblocked",
        "_upgrading",
        "_waiter",
        "_writing_paused",
        "address",
        "deadlines",
        "envelope",
        "host",
        "loop",
        "port",
        "session",
        "tls",
        "transport",
    )

    def __init__(self, host: SmtpHost, loop: asyncio.AbstractEventLoop) -> None:
        # Without super().__init__(): see the module's docstring.
        self.host = host
        self.loop = loop
        self.transport: Any = None
        self.session = None
        self.envelope = None
        self.address = ""
        self.port = 0
        self.tls: str | None = None
        self.deadlines = Deadlines(host.limits, host.clock.monotonic())
        self._handler_coroutine: asyncio.Task[None] | None = None
        self._buffer = bytearray()
        self._lines = CommandReader(ENVELOPE_OCTETS)
        self._octets_in = 0
        self._replies: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._unblocked: asyncio.Future[None] | None = None
        self._left: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._writing_paused = False
        self._upgrading = False
        self._over = False
        self._lost = False
        self._eof = False
        self._admitted = False

    # Hooks

    def admit(self) -> bytes | None:
        """Called when a client has connected: None lets it in, octets are its only reply."""
        return None

    def released(self) -> None:
        """Called once when an admitted connection is gone (a command may still be worked on)."""

    def forget(self) -> None:
        """Forget what the client said: the handshake of STARTTLS is over (RFC 3207 §4.2)."""

    def sweep(self, now: float) -> None:
        """Look at the deadlines at monotonic time `now`."""
        raise NotImplementedError

    def drain(self) -> None:
        """Say goodbye as soon as no command is being worked on."""
        raise NotImplementedError

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet. The session's coroutine begins with the client's first octets."""
        self.transport = transport
        peer = transport.get_extra_info("peername") or ("", 0)
        self.address, self.port = str(peer[0]), int(peer[1])
        self._begin_session()
        self.host.registry.add(self)
        refusal = self.admit()
        if refusal is not None:
            self.end(refusal)
            return
        self._admitted = True
        self.host.metrics.connection_opened()
        self.say(f"220 {self.host.hostname} {self.host.banner}\r\n".encode("ascii"))
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Keep the octets and wake the coroutine if it waits for some."""
        if self._over:
            return
        self._buffer += data
        self._octets_in += len(data)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif self._handler_coroutine is None:
            self.deadlines.wake(self.host.clock.monotonic())
            self._handler_coroutine = self.loop.create_task(self._handle_client())
        elif len(self._buffer) > BUFFER_OCTETS and not self._reading_paused and not self._upgrading:
            self._reading_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more. Without TLS it may still read the replies to what it sent."""
        self._eof = True
        self._wake()
        if self._handler_coroutine is None:
            self._close()
        return self.tls is None

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the coroutine; whatever it is committing goes on to its end. Safe to call again."""
        self._lost = True
        self._wake()
        for waiting in (self._unblocked, self._left):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        if self._admitted:
            self._admitted = False
            self.host.metrics.connection_closed()
            self.released()
        self._settle()

    def pause_writing(self) -> None:
        """The client does not read; `drained` waits."""
        self._writing_paused = True
        self.deadlines.unread(self.host.clock.monotonic())

    def resume_writing(self) -> None:
        """It reads again."""
        self._writing_paused = False
        self.deadlines.read()
        if self._unblocked is not None and not self._unblocked.done():
            self._unblocked.set_result(None)

    # Replies

    def say(self, reply: bytes | Reply) -> None:
        """Answer. Replies are written together, when the client's turn comes."""
        self._replies.append(reply if isinstance(reply, bytes) else reply.wire())

    def flush(self) -> None:
        """Write the replies that wait."""
        if self._replies:
            if not self._lost:
                self.transport.write(b"".join(self._replies))
            self._replies.clear()

    # Waiting for the client

    @property
    def is_gone(self) -> bool:
        """Whether a reply could no longer reach the client."""
        return self._lost or (self._eof and self.tls is not None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost by closing now: no command, no message under way."""
        deadlines = self.deadlines
        return deadlines.is_waiting and not deadlines.in_content and not self._upgrading

    @property
    def has_pipelined(self) -> bool:
        """Whether something already lies behind the command in work."""
        return bool(self._buffer)

    async def more(self) -> None:
        """Write what there is to say and wait until something comes. Raises ConnectionGone."""
        self.flush()
        if self._over or self._lost:
            raise ConnectionGone
        if self._writing_paused:
            await self.drained()
            return  # something may have come meanwhile
        if self._eof:
            raise ConnectionGone
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        self._waiter = waiter = self.loop.create_future()
        clock = self.host.clock
        self.deadlines.wait(clock.monotonic(), partial=bool(self._buffer))
        await waiter
        self.deadlines.wake(clock.monotonic())
        if self._over or self._lost:
            raise ConnectionGone

    async def drained(self) -> None:
        """Wait until the client has read most of what was written."""
        while self._writing_paused and not self._lost:
            self._unblocked = self.loop.create_future()
            await self._unblocked
        self._unblocked = None

    async def pause(self, seconds: float) -> None:
        """Let `seconds` go by; ends early, with ConnectionGone, when the client leaves."""
        if seconds > 0 and not self._lost:
            self._left = self.loop.create_future()
            await asyncio.wait([self._left], timeout=seconds)
            self._left = None
        if self._lost:
            raise ConnectionGone

    # TLS

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """The handshake; then nothing said before holds any more. Raises ConnectionGone if it fails.

        The client's EHLO may arrive before `loop.start_tls` returns: it stays in the buffer until then.
        """
        plain = self.transport
        self._upgrading = True
        seconds = self.host.limits.handshake_seconds
        try:
            self.transport = await self.loop.start_tls(
                plain, self, context, server_side=True, ssl_handshake_timeout=seconds
            )
        except OSError as error:
            self.host.metrics.tls_failed()
            self.host.log.info("tls_failed", address=self.address, error=type(error).__name__)
        finally:
            self._upgrading = False
        if self._lost or self._over or self.transport is plain:
            plain.abort()
            # Loops do not tell a protocol whose handshake failed that its connection is gone.
            self.connection_lost(None)
            raise ConnectionGone
        self._begin_session()
        self.forget()

    def _begin_session(self) -> None:
        self.session = self._create_session()
        self.session.peer = self.address
        tls = self.transport.get_extra_info("ssl_object")
        if tls is not None:
            self.session.ssl = {"cipher": tls.cipher()}
            self.tls = f"{tls.version()} {tls.cipher()[0]}"

    # The end

    def end(self, last_word: bytes) -> None:
        """Say `last_word` and close now; for use outside the coroutine, while it waits."""
        if not self._over:
            self.say(last_word)
            self._close()
            self._wake()

    def abort(self) -> None:
        """Drop the connection at once; work that commits goes on to its end."""
        self._over = True
        if self.transport is not None:
            self.transport.abort()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _close(self) -> None:
        """Write the last replies and close; safe to call again."""
        if self._over:
            return
        self._over = True
        self._buffer.clear()
        self.flush()
        self.deadlines.close(self.host.clock.monotonic())
        if not self._lost:
            if self._reading_paused:
                # Closing over unread octets would reset the connection and take our last reply with it.
                self._reading_paused = False
                self.transport.resume_reading()
            self.transport.close()

    def _settle(self) -> None:
        """Leave the registry once the connection is gone and no command is being worked on."""
        if self._lost and self._handler_coroutine is None:
            self.host.registry.discard(self)
