"""A submission session (RFC 6409): one transaction at a time, and into the intake with it.

It talks and asks; it decides nothing about mail. What a client meets stands in `docs/smtp.md`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax

from gateway.edges.smtp import replies
from gateway.edges.smtp.connection import Goodbye
from gateway.edges.smtp.reader import BdatEnd, BdatReader, parse_bdat_argument
from gateway.edges.submission.authenticated import AuthenticatedSession
from gateway.edges.submission.transaction import Transaction
from gateway.mail.envelope import EnvelopeError, parse_mail_argument, parse_rcpt_argument
from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.intake import Origin, Receipt, Submission

if TYPE_CHECKING:
    from gateway.edges.submission.edge import SubmissionEdge


class SubmissionSession(AuthenticatedSession):
    """The commands of a transaction, and the small ones."""

    __slots__ = ("_put_off", "_transaction")

    def __init__(self, edge: SubmissionEdge, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(edge, loop)
        self._transaction: Transaction | None = None
        # How many more commands may be out of order because MAIL or RCPT before them was refused: they were
        # pipelined behind it (RFC 2920) and are no errors of their own.
        self._put_off = 0

    def forget_transaction(self) -> None:
        """Drop the transaction, if there is one."""
        self._transaction = None
        self._put_off = 0

    # The envelope

    @syntax("MAIL FROM:<address> [parameters]")
    async def smtp_MAIL(self, arg: str) -> None:
        """Begin a transaction, if identity, size and intake allow."""
        if not self.helo:
            self.refuse(replies.HELLO_FIRST)
            return
        if self._transaction is not None:
            self.refuse(replies.MAIL_TWICE)
            return
        if self.commands > self.host.limits.commands:
            self.cut("commands", "4.7.0", "too many commands on one connection; connect again")
        self._put_off = self.host.limits.recipients + 2
        try:
            mail = parse_mail_argument(arg)
        except EnvelopeError as error:
            self.refuse(error.reply)
            return
        identity = await self.standing()
        if identity is None:
            return
        limit = self.size_limit
        if mail.size is not None and mail.size > limit:
            self.refuse(_too_big(limit))
            return
        refusal = self.edge.intake.check_sender(identity, mail, self.address)
        if refusal is not None:
            self.refuse(refusal)
            return
        self._transaction = Transaction(mail, limit)
        self._put_off = 0
        self.say(replies.SENDER_OK)

    @syntax("RCPT TO:<address> [parameters]")
    async def smtp_RCPT(self, arg: str) -> None:
        """One more recipient."""
        transaction = self._transaction
        identity = self.identity
        if transaction is None or identity is None:
            self._refuse_order(replies.MAIL_FIRST)
            return
        if transaction.chunks is not None:
            self.refuse(replies.CHUNKS_BEGUN)
            return
        most = self.host.limits.recipients
        transaction.tried += 1
        if transaction.tried > 2 * most:
            self.cut("recipients", "4.7.0", "too many RCPT commands for one message; closing")
        try:
            command = parse_rcpt_argument(arg, smtputf8=transaction.mail.smtputf8)
        except EnvelopeError as error:
            self.refuse(error.reply)
            return
        recipients = transaction.recipients
        if len(recipients) >= most:
            self.refuse(Reply(452, "4.5.3", f"{most} recipients are the most; send it to the others again"))
            return
        sender = transaction.mail.reverse_path
        refusal = self.edge.intake.check_recipient(
            identity, recipients, command, str(sender) if sender is not None else "", self.address
        )
        if refusal is not None:
            self._put_off = 2
            self.refuse(refusal)
            return
        recipients.append(command)
        self.say(replies.RECIPIENT_OK)

    # The message

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """The message, up to <CR><LF>.<CR><LF> and nothing else."""
        transaction = self._transaction
        refusal = replies.NO_ARGUMENT if arg else self._not_ready(transaction)
        if transaction is not None and transaction.chunks is not None:
            refusal = replies.CHUNKS_BEGUN
        if refusal is not None or transaction is None:
            self._refuse_order(refusal or replies.MAIL_FIRST)
            if self.has_pipelined:
                # RFC 2920 §3.1: DATA ends a group. What follows is a message whose lines are no commands.
                self.cut("pipelined_content", "4.7.0", "nothing may follow a refused DATA; closing")
            return
        self.say(replies.SEND_CONTENT)
        end = await self.read_data(transaction.limit)
        if end.too_big:
            self._too_big(transaction)
        else:
            await self._submit(transaction, end.content)

    @syntax("BDAT octets [LAST]")
    async def smtp_BDAT(self, arg: str) -> None:
        """A chunk of the message (RFC 3030). A refused one is read and thrown away, if it is small."""
        try:
            size, last = parse_bdat_argument(arg.encode("utf-8"))
        except ValueError as error:
            self.say(Reply(501, "5.5.4", str(error)))
            self.cut("malformed_chunk", "4.7.0", "where the chunk ends is unknown; closing")
        transaction = self._transaction
        refusal = self.login_first if self.identity is None else self._not_ready(transaction)
        if refusal is not None or transaction is None:
            await self._refuse_chunk(refusal or replies.MAIL_FIRST, size)
            return
        if size > self.host.limits.message_octets:
            await self._refuse_chunk(_too_big(transaction.limit).wire(), size)
        if transaction.chunks is None:
            transaction.chunks = BdatReader(transaction.limit)
        end = await self._read_chunk(transaction.chunks, size, last=last)
        if end.too_big:
            self._too_big(transaction)
        elif end.last:
            await self._submit(transaction, end.content)
        else:
            self.say(Reply(250, "2.0.0", f"{end.octets} octets taken"))

    async def _read_chunk(self, chunks: BdatReader, size: int, *, last: bool) -> BdatEnd:
        chunks.begin(size, last=last)
        self.begin_content()
        while (end := chunks.feed(self._buffer)) is None:
            await self.more()
        self.deadlines.end_content()
        return end

    async def _refuse_chunk(self, refusal: bytes, size: int) -> None:
        """The chunk comes in any case (RFC 3030 §2): swallow it, or close if that is too much to ask."""
        limits = self.host.limits
        if size > (limits.skipped_octets if self.identity is None else limits.message_octets):
            self.say(refusal)
            self.cut("refused_chunk", "4.7.0", "the chunk is too large to be read in vain; closing")
        await self._read_chunk(BdatReader(0), size, last=False)
        self._refuse_order(refusal)

    def _refuse_order(self, reply: bytes) -> None:
        """A command out of order. One that was pipelined behind a refusal is no fault of the client's."""
        if self._put_off > 0:
            self._put_off -= 1
            self.say(reply)
        else:
            self.refuse(reply)

    def _not_ready(self, transaction: Transaction | None) -> bytes | None:
        if transaction is None:
            return replies.MAIL_FIRST
        if not transaction.recipients:
            return replies.NO_RECIPIENT if transaction.tried else replies.RECIPIENT_FIRST
        return None

    def _too_big(self, transaction: Transaction) -> None:
        self._transaction = None
        self.host.metrics.message_refused(552)
        self.refuse(_too_big(transaction.limit))

    # Into the intake

    async def _submit(self, transaction: Transaction, content: bytes) -> None:
        """Hand the message over; 250 only once it is durable.

        A client that leaves does not stop what has begun: nobody cancels this coroutine. One that has left
        before has no 250 and sends again, so its message is not begun.
        """
        self._transaction = None
        began = self.host.clock.monotonic()
        identity = await self.standing()
        if identity is None or self.client is None:
            return
        if self.is_gone:
            self.host.log.info("message_abandoned", account_id=identity.account.id, octets=len(content))
            raise Goodbye
        submission = Submission(
            identity, Origin.SUBMISSION, transaction.envelope(), content, self.client, self.host.clock.now()
        )
        try:
            receipt = await self.edge.intake.submit(submission)
        except Refusal as refusal:
            self.host.metrics.message_refused(refusal.reply.code)
            self.refuse(refusal.reply)
        else:
            self._accepted(receipt, len(content), self.host.clock.monotonic() - began)

    def _accepted(self, receipt: Receipt, octets: int, seconds: float) -> None:
        # One line in the log for a message, accepted or refused, and that is the intake's.
        self.errors = self.junk = 0
        self.host.metrics.message_accepted(octets, seconds)
        self.say(f"250 2.0.0 queued as {receipt.id}{' held' if receipt.held else ''}\r\n".encode("ascii"))

    # The small ones

    @syntax("RSET")
    async def smtp_RSET(self, arg: str) -> None:
        """Forget the transaction."""
        if arg:
            self.refuse(replies.NO_ARGUMENT)
            return
        self.count_junk()
        self.forget_transaction()
        self.say(replies.RESET)

    @syntax("NOOP [anything]")
    async def smtp_NOOP(self, arg: str) -> None:  # noqa: ARG002 - the base's signature
        """Nothing."""
        self.count_junk()
        self.say(replies.OK)

    @syntax("QUIT")
    async def smtp_QUIT(self, arg: str) -> None:
        """Goodbye; what is pipelined behind it is not looked at."""
        if arg:
            self.refuse(replies.NO_ARGUMENT)
            return
        self.goodbye(replies.GOODBYE)

    @syntax("VRFY address")
    async def smtp_VRFY(self, arg: str) -> None:
        """Tell nothing about addresses (RFC 5321 §3.5.3)."""
        self.count_junk()
        if arg:
            self.say(replies.VERIFY_NOT)
        else:
            self.refuse(replies.ARGUMENT_MISSING)

    async def smtp_EXPN(self, arg: str) -> None:  # noqa: ARG002 - the base's signature
        """There are no lists."""
        self.refuse(replies.NOT_OFFERED)

    @syntax("HELP [command]")
    async def smtp_HELP(self, arg: str) -> None:
        """What there is, or how one command is written."""
        self.count_junk()
        known = {verb.decode("ascii"): command for verb, command in self._commands.items()}
        command = known.get(arg.upper())
        if command is not None and hasattr(command, "__smtp_syntax__"):
            self.say(Reply(214, "2.0.0", command.__smtp_syntax__))
            return
        names = sorted(name for name, command in known.items() if hasattr(command, "__smtp_syntax__"))
        self.say(Reply(214, "2.0.0", f"commands: {' '.join(names)}"))


def _too_big(limit: int) -> Reply:
    return Reply(552, "5.3.4", replies.DATA_TOO_BIG.format(limit=limit))
