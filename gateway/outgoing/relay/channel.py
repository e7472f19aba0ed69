"""One SMTP connection after its greeting, TLS and login: transactions, pipelined where offered.

`connection` opens it and puts this protocol in place of the library's. RFC 2920 lets MAIL, RCPT
and DATA travel in one write; the message with its final dot is the second. Timeouts are those of
RFC 5321 §4.5.3.2, kept by `check`, which its owner calls about once a second: a timer for each
phase would cost more than the phase.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.outgoing.relay.replies import PeerReply, ReplyError, ReplyReader, printable
from gateway.outgoing.relay.transaction import Commands, DotWatch, PeerFeatures, Sent

_CHUNK_OCTETS = 256 * 1024
_CLOSING = 421
_GO_ON = 354


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for the peer in each phase (RFC 5321 §4.5.3.2)."""

    envelope: float = 300.0
    data: float = 120.0
    chunk: float = 180.0
    final: float = 600.0
    unanswered: float = 30.0
    """After the final dot: when its transaction is first said to be unknown."""
    connect: float = 30.0
    greeting: float = 60.0
    quit: float = 5.0


class _Prepared:
    """A message that lies ready while its envelope is on the way: written once all of that is accepted."""

    __slots__ = ("accepted", "is_written", "octets", "watch")

    def __init__(self, octets: bytes, recipients: int, watch: DotWatch) -> None:
        self.octets = octets
        self.accepted = tuple(range(recipients))
        self.watch = watch
        self.is_written = False


class Channel(asyncio.Protocol):
    """Runs one transaction at a time on an open connection.

    A transport belongs to it from `take_over` on. After any failure that leaves the connection in
    doubt it is closed; `is_usable` tells. Not for use from several tasks at once.
    """

    def __init__(self, features: PeerFeatures, timeouts: Timeouts, now: Callable[[], float]) -> None:
        self.features = features
        self.transactions = 0
        self.trouble: str | None = None
        self.when_lost: Callable[[], None] | None = None
        self._timeouts = timeouts
        self._now = now
        self._reader = ReplyReader()
        self._replies: list[PeerReply] = []
        self._wanted = 0
        self._busy = False
        self._needs_reset = False
        self._deadline: float | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._paused = False
        self._dot: tuple[float, tuple[int, ...], DotWatch] | None = None
        self._prepared: _Prepared | None = None

    def take_over(self, transport: asyncio.Transport) -> None:
        """Become the protocol of an open transport."""
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        transport.set_protocol(self)
        if transport.is_closing():
            self._lose("the peer closed the connection")

    @property
    def is_usable(self) -> bool:
        """Whether another transaction may be started."""
        return self.trouble is None and not self._busy and not self._transport.is_closing()

    async def send(self, commands: Commands, parts: tuple[bytes, bytes], watch: DotWatch) -> Sent:
        """Run one transaction. Never raises for what the peer does: the result tells.

        If cancelled, the connection is cut and nothing more of the message leaves.
        """
        self._busy = True
        self.transactions += 1
        try:
            return await self._transact(commands, parts, watch)
        except BaseException:
            self.abort("the transaction was broken off")
            raise
        finally:
            self._busy = False
            self._deadline = self._dot = self._prepared = None
            if self._replies or not self._reader.is_between_replies:
                self._break("the peer sent more replies than it was asked for")

    def check(self) -> None:
        """Notice what takes too long. Call it about once a second."""
        now = self._now()
        if self._dot is not None and now >= self._dot[0]:
            _, accepted, watch = self._dot
            self._dot = None
            watch.still_unanswered(accepted)
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._break("the peer did not answer in time")

    def quit(self) -> None:
        """End the connection politely: the peer's answer is not waited for."""
        if self.is_usable:
            self._busy = True
            self._transport.write(b"QUIT\r\n")
        self.trouble = self.trouble or "we closed the connection"
        self._transport.close()

    def abort(self, why: str) -> None:
        """Cut the connection at once."""
        self._break(why)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Replies came in."""
        try:
            replies = self._reader.feed(data)
        except ReplyError as error:
            self._break(str(error))
            return
        if not self._busy:
            said = f": {replies[0].text}" if replies else ""
            self._break(f"the peer spoke without being asked{said}")
            return
        self._replies.extend(replies)
        if self._prepared is not None and len(self._replies) == self._wanted and self._write_prepared():
            return
        if len(self._replies) >= self._wanted or (replies and replies[-1].code == _CLOSING):
            self._wake()

    def eof_received(self) -> None:
        """The peer will send no more: the transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._transport.close()
        self._lose("the connection was lost" if exc is None else f"the connection was lost: {exc}")
        if self.when_lost is not None:
            self.when_lost()

    def pause_writing(self) -> None:
        """The peer reads slower than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._paused = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # The phases of a transaction

    async def _transact(self, commands: Commands, parts: tuple[bytes, bytes], watch: DotWatch) -> Sent:
        if self.features.pipelining:
            if len(parts[1]) <= _CHUNK_OCTETS:
                self._prepared = _Prepared(b"".join(parts), len(commands.recipients), watch)
            fates, answer = await self._envelope_at_once(commands)
            if self._prepared is not None and self._prepared.is_written:
                return self._prepared_sent(self._prepared, answer)
            self._prepared = None
        else:
            fates, answer = await self._envelope_in_steps(commands)
        accepted = tuple(
            [index for index, fate in enumerate(fates) if fate is not None and fate.code // 100 == 2]
        )
        if not accepted:
            if answer is not None and answer.code == _GO_ON:
                await self._send_nothing()
            return Sent(fates, self.trouble)
        if answer is None or answer.code != _GO_ON:
            for index in accepted:
                fates[index] = answer
            return Sent(fates, self.trouble)
        final, dotted = await self._message(parts, accepted, watch)
        for index in accepted:
            fates[index] = final
        return Sent(fates, self.trouble, accepted if dotted else (), dotted and _is_doubtful(final))

    async def _envelope_at_once(self, commands: Commands) -> tuple[list[PeerReply | None], PeerReply | None]:
        """RFC 2920 §3.1: DATA is the last of its group, and every status is looked at."""
        count = len(commands.recipients) + 2
        reset = self._needs_reset
        group = b"".join((b"RSET\r\n" if reset else b"", commands.mail, *commands.recipients, b"DATA\r\n"))
        self._needs_reset = True
        self._transport.write(group)
        replies = await self._answers(count + reset, self._timeouts.envelope)
        if self._prepared is not None and self._prepared.is_written:
            return [], replies[0]
        if reset:
            del replies[0]
        sender, answer = replies[0], replies[-1]
        fates = replies[1:-1]
        if any(reply is not None and reply.code // 100 == 3 for reply in replies[:-1]):
            # Replies and commands are out of step: which reply belongs to whom is anyone's guess.
            self._break("the peer did not answer every command")
            return [None] * len(fates), None
        if sender is None or sender.code // 100 != 2:
            fates = [sender] * len(fates)
        return fates, answer

    def _write_prepared(self) -> bool:
        """If every command was accepted, write the message: nobody need be woken for that.

        Nearly every transaction goes this way: two writes, two reads, one wake-up.
        """
        prepared, replies = self._prepared, self._replies
        if prepared is None or prepared.is_written or replies[-1].code != _GO_ON:
            return False
        for reply in replies[:-1]:
            if reply.code // 100 != 2:
                return False
        try:
            prepared.watch.before_dot(prepared.accepted)
        except Exception as error:  # noqa: BLE001 - it is the sender's, who waits for it
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(error)
            return True
        self._transport.write(prepared.octets)
        prepared.is_written = True
        replies.clear()
        self._wanted = 1
        now = self._now()
        self._deadline = now + self._timeouts.final
        self._dot = (now + self._timeouts.unanswered, prepared.accepted, prepared.watch)
        return True

    def _prepared_sent(self, prepared: _Prepared, final: PeerReply | None) -> Sent:
        # RFC 5321 §4.1.1.4: after the final dot the peer's buffers are empty, whatever it answers.
        self._needs_reset = False
        fates = [final] * len(prepared.accepted)
        return Sent(fates, self.trouble, prepared.accepted, _is_doubtful(final))

    async def _envelope_in_steps(self, commands: Commands) -> tuple[list[PeerReply | None], PeerReply | None]:
        if self._needs_reset:
            await self._ask(b"RSET\r\n", self._timeouts.envelope)
        self._needs_reset = True
        sender = await self._ask(commands.mail, self._timeouts.envelope)
        if sender is None or sender.code // 100 != 2:
            return [sender] * len(commands.recipients), None
        fates: list[PeerReply | None] = []
        for command in commands.recipients:
            if self.trouble is not None:
                fates.append(fates[-1] if fates and _closes(fates[-1]) else None)
            else:
                fates.append(await self._ask(command, self._timeouts.envelope))
        if not any(fate is not None and fate.code // 100 == 2 for fate in fates):
            return fates, None
        if _closes(fates[-1]):
            return fates, fates[-1]
        return fates, await self._ask(b"DATA\r\n", self._timeouts.data)

    async def _message(
        self, parts: tuple[bytes, bytes], accepted: tuple[int, ...], watch: DotWatch
    ) -> tuple[PeerReply | None, bool]:
        """The message and the answer to it, and whether the final dot was written."""
        header, rest = parts
        if len(rest) > _CHUNK_OCTETS:
            rest = await self._all_but_the_end(header, rest)
            header = b""
            if self.trouble is not None or self._replies:
                # A reply before the end of the message is a refusal; the rest is not sent.
                early = self._replies.pop(0) if self._replies else None
                self._break("the peer refused the message while it was being sent")
                return early, False
        watch.before_dot(accepted)
        self._transport.write(header + rest if header else rest)
        self._dot = (self._now() + self._timeouts.unanswered, accepted, watch)
        final = (await self._answers(1, self._timeouts.final))[0]
        self._dot = None
        # RFC 5321 §4.1.1.4: after the final dot the peer's buffers are empty, whatever it answers.
        self._needs_reset = False
        return final, True

    async def _all_but_the_end(self, header: bytes, rest: bytes) -> bytes:
        """Send a long message as fast as the peer reads it, but for the last piece with the dot."""
        last = len(rest) - _CHUNK_OCTETS // 2
        view = memoryview(rest)
        self._transport.write(header)
        for start in range(0, last, _CHUNK_OCTETS):
            self._transport.write(view[start : min(start + _CHUNK_OCTETS, last)])
            if self._paused:
                await self._until_writable()
            if self.trouble is not None or self._replies:
                return b""
        return rest[last:]

    async def _until_writable(self) -> None:
        self._deadline = self._now() + self._timeouts.chunk
        while self._paused and self.trouble is None and not self._replies:
            self._room = self._loop.create_future()
            await self._room
        self._room = None
        self._deadline = None

    async def _send_nothing(self) -> None:
        """RFC 2920 §3.1: DATA was accepted without a recipient, so an empty message is ended at once."""
        self._needs_reset = False
        await self._ask(b".\r\n", self._timeouts.final)

    async def _ask(self, command: bytes, seconds: float) -> PeerReply | None:
        if self.trouble is not None:
            return None
        self._transport.write(command)
        return (await self._answers(1, seconds))[0]

    async def _answers(self, count: int, seconds: float) -> list[PeerReply | None]:
        """The next `count` replies; after a 421 the missing ones are that, else None.

        If the prepared message was written meanwhile, they are only one: the answer to it.
        """
        self._wanted = count
        self._deadline = self._now() + seconds
        while len(self._replies) < self._wanted and self.trouble is None:
            if self._replies and self._replies[-1].code == _CLOSING:
                break
            self._waiter = self._loop.create_future()
            await self._waiter
        count, self._wanted = self._wanted, 1
        self._waiter = self._deadline = None
        answers: list[PeerReply | None] = list(self._replies[:count])
        del self._replies[:count]
        if answers and _closes(answers[-1]):
            # RFC 5321 §3.8: after 421 comes nothing more.
            self._break(f"the peer is closing the connection: {_last_words(answers)}")
            answers.extend([answers[-1]] * (count - len(answers)))
        else:
            answers.extend([None] * (count - len(answers)))
        return answers

    # The end of a connection

    def _break(self, why: str) -> None:
        self._lose(why)
        self._transport.abort()

    def _lose(self, why: str) -> None:
        if self.trouble is None:
            self.trouble = printable(why.encode("utf-8", "replace"))
        self._wake()

    def _wake(self) -> None:
        for future in (self._waiter, self._room):
            if future is not None and not future.done():
                future.set_result(None)


def _closes(reply: PeerReply | None) -> bool:
    return reply is not None and reply.code == _CLOSING


def _is_doubtful(final: PeerReply | None) -> bool:
    """A 421 or nothing after the final dot: the peer may have the message."""
    return final is None or final.code == _CLOSING


def _last_words(answers: list[PeerReply | None]) -> str:
    return next((answer.text for answer in reversed(answers) if answer is not None), "")
