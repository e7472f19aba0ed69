"""One SMTP connection: commands out of the bytes, replies back. What commands mean is the subclass's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NoReturn

from aiosmtpd.smtp import syntax

from gateway.edges.smtp import replies
from gateway.edges.smtp.deadlines import Due
from gateway.edges.smtp.host import SmtpHost
from gateway.edges.smtp.reader import CommandFault, DataEnd, DataReader
from gateway.edges.smtp.wire import ENVELOPE_OCTETS, ConnectionGone, SmtpWire
from gateway.mail.reply import Reply

Command = Callable[[Any, str], Awaitable[None]]

COMMAND_OCTETS = 512
"""A command line with its CRLF (RFC 5321 §4.5.3.1.4)."""
CORKED_REPLIES = 64
_HELLOS = (b"EHLO", b"HELO")  # with host names as people gave them to their machines

_DUE_TEXTS = {
    Due.LOGIN: "you did not log in within {0.login_seconds:.0f} seconds; closing",
    Due.IDLE: "no command came for {0.idle_seconds:.0f} seconds; closing",
    Due.COMMAND: "a command line was not ended within {0.command_seconds:.0f} seconds; closing",
    Due.SLOW_CONTENT: "the message comes slower than {0.content_octets_per_second} octets a second; closing",
}


class Goodbye(Exception):
    """The last reply has been said; close."""


class SmtpConnection(SmtpWire):
    """The command loop. Subclasses give `smtp_*` methods, each `async (argument: str) -> None`, and hooks."""

    __slots__ = ("_last_word", "attention", "commands", "errors", "junk")

    _commands: ClassVar[dict[bytes, Command]] = {}

    def __init__(self, host: SmtpHost, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(host, loop)
        self.commands = 0
        self.errors = 0
        self.junk = 0
        self.attention = False  # `attend` is to be called before the next command
        self._last_word: bytes | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._commands = {
            name[5:].encode("ascii"): getattr(cls, name) for name in dir(cls) if name.startswith("smtp_")
        }

    # Hooks

    def gate(self, verb: bytes) -> bytes | None:  # noqa: ARG002 - for subclasses
        """A reply that refuses a known command before it is looked at, or None."""
        return None

    def forget_transaction(self) -> None:
        """Drop the transaction, if there is one."""

    async def attend(self) -> None:
        """Something has changed that the session has to look at."""

    # The session's coroutine

    async def _handle_client(self) -> None:
        """Take as many commands as the buffer holds, then write the replies and wait for more."""
        try:
            while True:
                line = self._lines.feed(self._buffer)
                if line is None:
                    await self.more()
                elif isinstance(line, bytes):
                    if self.attention:
                        await self.attend()
                    await self._obey(line)
                    if self._last_word is not None:
                        self.goodbye(self._last_word)
                    if len(self._replies) > CORKED_REPLIES:
                        self.flush()
                        await self.drained()
                else:
                    self._complain(line)
        except (ConnectionGone, Goodbye):
            pass
        except Exception as error:  # noqa: BLE001 - logged with its traceback; the client hears 421
            await self.handle_exception(error)
            self.say(self.closing("4.3.0", "something went wrong here; try again later"))
        finally:
            self._close()
            self._handler_coroutine = None
            self._settle()

    async def _obey(self, line: bytes) -> None:
        """One command, to its end. An unexpected exception is answered with 451 and a reference."""
        self.commands += 1
        self.deadlines.line_ended()
        verb, _, rest = line.partition(b" ")
        verb = verb.upper()
        command = self._commands.get(verb)
        refusal = self._refusal(verb, command, len(line) + 2)
        if refusal is not None or command is None:
            self.refuse(refusal or replies.UNKNOWN)
            return
        try:
            argument = rest.strip(b" ").decode("utf-8", "replace" if verb in _HELLOS else "strict")
        except UnicodeDecodeError:
            self.refuse(replies.NOT_UTF8)
            return
        try:
            await command(self, argument)
        except (ConnectionGone, Goodbye):
            raise
        except Exception as error:
            self.say((await self.handle_exception(error)).encode("ascii") + b"\r\n")
            if self.deadlines.in_content:
                # Where the message ends is unknown: its lines must not be taken for commands.
                raise Goodbye from error

    def _refusal(self, verb: bytes, command: Command | None, octets: int) -> bytes | None:
        if command is None:
            return replies.UNKNOWN if verb else replies.EMPTY_LINE
        refusal = self.gate(verb)
        if refusal is None and octets > COMMAND_OCTETS and octets > self.line_limit(verb):
            return replies.LINE_TOO_LONG
        return refusal

    def line_limit(self, verb: bytes) -> int:
        """Octets that a line with this command may have, CRLF included."""
        return ENVELOPE_OCTETS if verb in (b"MAIL", b"RCPT") else COMMAND_OCTETS

    async def handle_exception(self, error: Exception) -> str:
        """The reply to an unexpected exception: neutral text, and a reference that the log has too."""
        reference = self.host.ids.message_id()
        self.host.metrics.session_failed()
        self.host.log.error("session_failed", reference=reference, address=self.address, exc_info=error)
        self.forget_transaction()
        return f"451 4.3.0 something went wrong here; try again later (reference {reference})"

    def _complain(self, fault: CommandFault) -> None:
        if fault is CommandFault.BARE_NEWLINE:
            self.say(replies.BARE_NEWLINE)
            self.cut("bare_newline", "4.7.0", "closing")
        self.refuse(replies.LINE_TOO_LONG)

    async def push(self, status: Any) -> None:
        """The base's name for `say`: one line of text without CRLF."""
        text = status if isinstance(status, str) else bytes(status).decode("utf-8", "replace")
        self.say(Reply(int(text[:3]), None, text[4:]))

    # Refusing

    def closing(self, enhanced: str, text: str) -> bytes:
        """A 421 of this host."""
        return replies.closing(enhanced, self.host.hostname, text)

    def goodbye(self, reply: bytes | Reply) -> NoReturn:
        """Answer for the last time, from within a command."""
        self.say(reply)
        raise Goodbye

    def cut(self, reason: str, enhanced: str, text: str) -> NoReturn:
        """End the session for its client's fault, from within a command."""
        self.host.metrics.connection_cut(reason)
        self.host.log.info("connection_cut", reason=reason, address=self.address)
        self.goodbye(self.closing(enhanced, text))

    def refuse(self, reply: bytes | Reply) -> None:
        """Answer with a refusal. A permanent one (5xx) counts as an error; too many end the session."""
        self.say(reply)
        code = reply.code if isinstance(reply, Reply) else int(reply[:3])
        if code == 421:
            raise Goodbye
        if code >= 500:
            self.errors += 1
            if self.errors >= self.host.limits.errors:
                self.cut("errors", "4.7.0", "too many errors; closing")

    def count_junk(self) -> None:
        """A command that brings no message nearer; too many end the session."""
        self.junk += 1
        if self.junk > self.host.limits.junk_commands:
            self.cut("junk", "4.7.0", "too many commands without a message; closing")

    # More than one line

    async def read_line(self) -> bytes | None:
        """The next line of a dialogue inside a command, or None if it was too long."""
        while True:
            line = self._lines.feed(self._buffer)
            if line is None:
                await self.more()
                continue
            self.deadlines.line_ended()
            if isinstance(line, bytes):
                return line
            if line is CommandFault.TOO_LONG:
                return None
            self._complain(line)

    async def read_data(self, limit: int) -> DataEnd:
        """The message behind a DATA that was answered with 354."""
        reader = DataReader(limit)
        self.begin_content()
        while (end := reader.feed(self._buffer)) is None:
            await self.more()
        self.deadlines.end_content()
        return end

    def begin_content(self) -> None:
        """What comes now are octets of a message, and no commands."""
        self.deadlines.begin_content(self.host.clock.monotonic(), self._octets_in)

    # The sweep and the drain

    def sweep(self, now: float) -> None:
        """Close if the client has kept us waiting too long."""
        if self._upgrading:
            return  # the handshake has a timeout of its own
        due = self.deadlines.due(now, self._octets_in)
        if due is None:
            return
        if due is not Due.CLOSING:
            self.host.metrics.connection_cut(due.value)
            self.host.log.info("connection_cut", reason=due.value, address=self.address)
        text = _DUE_TEXTS.get(due)
        if text is None:
            self.abort()
        else:
            self.end(self.closing("4.4.2", text.format(self.host.limits)))

    def drain(self) -> None:
        """Say 421 now if no command is being worked on, else after it."""
        self.end_after_command(self.closing("4.3.2", "is being restarted; come again"))

    def end_after_command(self, last_word: bytes) -> None:
        """Close with `last_word` (a 421): at once if the client is idle, else after its command."""
        if self.is_idle:
            self.end(last_word)
        else:
            self._last_word = last_word

    # TLS

    @syntax("STARTTLS")
    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207. Anything pipelined behind it is an injection: it is thrown away and the session ends."""
        context = self.host.tls()
        if arg:
            self.refuse(replies.NO_ARGUMENT)
        elif self.tls is not None:
            self.refuse(replies.ALREADY_TLS)
        elif context is None:
            self.refuse(replies.NO_TLS)
        elif self.has_pipelined:
            self.say(replies.EARLY_TLS)
            self.cut("starttls_injection", "4.7.0", "closing")
        else:
            self.say(replies.START_TLS)
            self.flush()
            await self.start_tls(context)
