"""An SMTP server for tests and measurements that does what its script says, on a real socket.

`Script` says what is offered and how commands are answered; `Sink` serves it and keeps what came.
Everything is in the test's own event loop, nothing sleeps.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Answer = Callable[[str, int], str | None]
"""(argument, how many of this verb came before on this connection) → reply lines without CRLF, or None."""

DROP = "DROP"
"""As a reply: close the connection without one."""

SILENCE = "SILENCE"
"""As a reply: none, neither to this command nor to later ones; the connection stays open."""


@dataclass
class Script:
    """What the server offers and answers.

    `replies` maps a verb (`GREETING`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `DOT`, `RSET`, `STARTTLS`, `AUTH`)
    to a reply or to a function that makes one; a reply may hold several lines, parted by "\\n". What is
    missing gets the usual answer.
    """

    pipelining: bool = True
    extensions: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "DSN", "SIZE 52428800", "ENHANCEDSTATUSCODES")
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    auth: tuple[str, str] | None = None
    replies: dict[str, str | Answer] = field(default_factory=dict)
    one_octet_replies: bool = False
    """Send replies octet by octet, each in a write of its own."""
    read_at_most: int | None = None
    """Stop reading after so many octets of a message."""


@dataclass
class Received:
    """One message that came in whole, whatever the answer to its final dot was."""

    mail: str
    recipients: list[str]
    content: bytes
    tls: bool
    connection: int


class Sink:
    """Serves a script on 127.0.0.1 (or `host`) and an unused port until `close`."""

    def __init__(self, script: Script | None = None, host: str = "127.0.0.1") -> None:
        self.script = script or Script()
        self.host = host
        self.port = 0
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.peers: list[str] = []
        self.logins: list[str] = []
        self.groups: list[bytes] = []
        """What came in one read, for seeing what was pipelined."""
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()

    async def start(self, port: int = 0) -> Sink:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), self.host, port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.cut()
        await self.until(lambda: not self._sessions)

    async def __aenter__(self) -> Sink:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something about what came in holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def cut_all(self) -> None:
        """Cut every connection at once."""
        for session in list(self._sessions):
            session.cut()

    def say(self, text: str) -> None:
        """Say something on every connection without having been asked."""
        for session in list(self._sessions):
            session.reply(text)

    def changed(self) -> None:
        self._changed.set()


class Session(asyncio.Protocol):
    """One connection of a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._script = sink.script
        self._buffer = bytearray()
        self._searched = 0
        self._in_data = False
        self._is_tls = False
        self._expects_login = 0
        self._muted = False
        self._counts: dict[str, int] = {}
        self._mail = ""
        self._recipients: list[str] = []
        self._out = bytearray()
        self._upgrading: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = not hasattr(self, "_transport")
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        if not first:
            return
        sink = self._sink
        sink._sessions.add(self)
        sink.connections += 1
        sink.open += 1
        sink.most_open = max(sink.most_open, sink.open)
        sink.peers.append(str(transport.get_extra_info("peername")[0]))
        self._number = sink.connections
        if self._script.implicit_tls:
            self._upgrading = asyncio.get_running_loop().create_task(self._upgrade())
        else:
            self._greet()
        sink.changed()

    def _greet(self) -> None:
        self._answer("GREETING", "", "220 sink.test ESMTP")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        # A TLS transport that its peer has closed warns unless it is closed here too.
        self._transport.close()
        self._forget()

    def _forget(self) -> None:
        if self in self._sink._sessions:
            self._sink._sessions.discard(self)
            self._sink.open -= 1
            self._sink.changed()

    def data_received(self, data: bytes) -> None:
        self._sink.groups.append(bytes(data))
        self._buffer += data
        limit = self._script.read_at_most
        if self._in_data and limit is not None and len(self._buffer) >= limit:
            self._transport.pause_reading()
            self._sink.changed()
            return
        while self._step():
            pass
        self._flush()
        self._sink.changed()

    def cut(self) -> None:
        self._transport.abort()
        if self._upgrading is not None:
            # uvloop does not tell a handshake that its transport is gone.
            self._upgrading.cancel()
            self._forget()

    def reply(self, text: str) -> None:
        """Write a reply now."""
        self._put(text)
        self._flush()

    def _step(self) -> bool:
        if self._upgrading is not None or self._transport.is_closing():
            return False
        if self._in_data:
            return self._take_message()
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end]).decode("utf-8", "surrogateescape")
        del self._buffer[: end + 2]
        self._sink.commands.append(line)
        if self._expects_login:
            self._login_line(line)
            return True
        verb, _, argument = line.partition(" ")
        getattr(self, f"_do_{verb.lower()}", self._do_other)(argument)
        return True

    def _answer(self, verb: str, argument: str, usual: str) -> str:
        """Give the scripted reply or the usual one; what was given."""
        count = self._counts.get(verb, 0)
        self._counts[verb] = count + 1
        scripted = self._script.replies.get(verb)
        text = scripted(argument, count) if callable(scripted) else scripted
        given = usual if text is None else text
        self._muted = self._muted or given == SILENCE
        if not self._muted:
            self._put(given)
        return given

    def _put(self, text: str) -> None:
        for number, part in enumerate(text.split(DROP)):
            if number:
                self._flush()
                self._transport.close()
                return
            if part:
                self._out += part.rstrip("\n").replace("\n", "\r\n").encode() + b"\r\n"

    def _flush(self) -> None:
        if not self._out:
            return
        out, self._out = bytes(self._out), bytearray()
        if self._script.one_octet_replies:
            for octet in out:
                self._transport.write(bytes((octet,)))
        else:
            self._transport.write(out)

    def _do_ehlo(self, argument: str) -> None:
        offered = [*self._script.extensions]
        if self._script.pipelining:
            offered.append("PIPELINING")
        if self._script.tls is not None and not self._is_tls:
            offered.append("STARTTLS")
        if self._script.auth is not None:
            offered.append("AUTH PLAIN LOGIN")
        self._answer("EHLO", argument, ehlo_lines([f"sink.test hello {argument}", *offered]))

    def _do_helo(self, argument: str) -> None:
        self._answer("HELO", argument, "250 sink.test")

    def _do_mail(self, argument: str) -> None:
        if self._answer("MAIL", argument, "250 2.1.0 sender ok").startswith("2"):
            self._mail, self._recipients = argument, []

    def _do_rcpt(self, argument: str) -> None:
        if self._answer("RCPT", argument, "250 2.1.5 recipient ok").startswith("2"):
            self._recipients.append(argument)

    def _do_data(self, argument: str) -> None:
        usual = "354 go on" if self._recipients else "503 5.5.1 no valid recipients"
        if self._answer("DATA", argument, usual).startswith("354"):
            self._in_data, self._searched = True, 0

    def _do_rset(self, argument: str) -> None:
        self._mail, self._recipients = "", []
        self._answer("RSET", argument, "250 2.0.0 forgotten")

    def _do_quit(self, argument: str) -> None:
        self._answer("QUIT", argument, "221 2.0.0 bye")
        self._flush()
        self._transport.close()

    def _do_starttls(self, argument: str) -> None:
        if self._answer("STARTTLS", argument, "220 2.0.0 go ahead").startswith("220"):
            self._flush()
            if self._transport.is_closing():
                return
            self._upgrading = asyncio.get_running_loop().create_task(self._upgrade())

    def _do_auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        self._sink.logins.append(f"{mechanism} tls={self._is_tls}")
        if mechanism == "PLAIN" and initial:
            self._login(initial)
        else:
            self._expects_login = 1
            self._put("334 UGFzc3dvcmQ6")

    def _login_line(self, line: str) -> None:
        self._expects_login = 0
        self._login(line)

    def _login(self, proof: str) -> None:
        user, password = self._script.auth or ("", "")
        right = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self._answer("AUTH", proof, "235 2.7.0 welcome" if proof == right else "535 5.7.8 no")

    def _do_other(self, argument: str) -> None:
        self._put("500 5.5.1 what?")

    def _take_message(self) -> bool:
        empty = self._buffer.startswith(b".\r\n")
        end = 0 if empty else self._buffer.find(b"\r\n.\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 4)
            return False
        content = b"" if empty else bytes(self._buffer[: end + 2])
        del self._buffer[: end + (3 if empty else 5)]
        if b"\n." in content or content.startswith(b"."):
            content = (b"\n" + content).replace(b"\n..", b"\n.")[1:]
        received = Received(self._mail, self._recipients, content, self._is_tls, self._number)
        self._sink.messages.append(received)
        self._in_data = False
        self._mail, self._recipients = "", []
        self._answer("DOT", "", "250 2.0.0 taken")
        return True

    async def _upgrade(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._script.tls is not None
        plain = self._transport
        try:
            upgraded = await loop.start_tls(plain, self, self._script.tls, server_side=True)
        except OSError:
            upgraded = None
        if upgraded is None:
            # The loop tells nobody that a connection ended in its handshake.
            plain.abort()
            self._forget()
        else:
            self._transport = upgraded
            self._is_tls = True
            if self._script.implicit_tls:
                self._greet()
        self._upgrading = None


def ehlo_lines(lines: Iterable[str]) -> str:
    """A multi-line 250 reply of these lines."""
    texts = list(lines)
    return "\n".join([*(f"250-{text}" for text in texts[:-1]), f"250 {texts[-1]}"])


@contextmanager
def serving(script: Script) -> Iterator[Sink]:
    """A sink with an event loop and thread of its own, for tests that have none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sink")
    thread.start()
    sink = Sink(script)
    asyncio.run_coroutine_threadsafe(sink.start(), loop).result(10)
    try:
        yield sink
    finally:
        asyncio.run_coroutine_threadsafe(sink.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
