"""Sending for programs: who may, what is composed, and the door that SMTP goes through too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from gateway.control.directory import Refused
from gateway.control.errors import Invalid
from gateway.control.lookup import not_found
from gateway.mail.envelope import Envelope, RcptCommand
from gateway.mail.reply import Refusal
from gateway.outgoing.composing.answers import away, may_not, service_error
from gateway.outgoing.composing.composer import compose
from gateway.outgoing.composing.fields import wire_mailbox
from gateway.outgoing.composing.oncekey import once_key
from gateway.outgoing.composing.rawmail import author_of, header_of, recipients_of
from gateway.outgoing.composing.values import (
    OutgoingMessage,
    RawMessage,
    SendOptions,
    SentMessage,
    read_address,
)
from gateway.outgoing.intake.values import ClientInfo, Origin, Receipt, Submission
from gateway.outgoing.policy import Ceilings, GivenOptions
from gateway.outgoing.queue import OnceKey, State, Stored
from gateway.outgoing.queue.once import same_or_conflict
from gateway.system.database import DatabaseAway

if TYPE_CHECKING:
    from gateway.control.records import AccountRecord, Actor, Identity
    from gateway.mail.address import Mailbox
    from gateway.outgoing.intake.door import Intake
    from gateway.outgoing.queue import QueueStore
    from gateway.system.clock import Clock
    from gateway.system.ids import IdSource

MOST_AHEAD_SECONDS = 30 * 86_400.0
"""How far ahead a message may be scheduled."""

_LARGE_OCTETS = 128 * 1024


class Send(Protocol):
    """`MessageSender.send` for callers in threads: it blocks. Raises the same."""

    def __call__(
        self,
        actor: Actor,
        account: str,
        message: OutgoingMessage | RawMessage,
        options: SendOptions | None = None,
    ) -> SentMessage:
        """Send; the message is durable then."""
        ...


class Identities(Protocol):
    """What sending asks of the directory."""

    async def find_login(self, login: str) -> AccountRecord | None:
        """The account with this address or grant id."""
        ...

    async def identity(
        self, account_id: str, credential_id: str | None, protocol: str | None = None
    ) -> Identity | Refused:
        """Who an account is now."""
        ...


@dataclass(frozen=True, slots=True)
class SendCeilings:
    """The installation's own limits, whatever a policy says: octets of a message, recipients, its header."""

    message_octets: int
    recipients: int
    content: Ceilings


class MessageSender:
    """Sends messages of accounts for whoever may. To be called on the event loop of its stores."""

    def __init__(
        self,
        directory: Identities,
        intake: Intake,
        stores: Mapping[str, QueueStore],
        *,
        clock: Clock,
        ids: IdSource,
        threads: Executor,
        ceilings: SendCeilings,
        wake: Callable[[], object] = lambda: None,
    ) -> None:
        """`wake` is called after a message was stored that can leave now: a hint to those who relay."""
        self._directory = directory
        self._intake = intake
        self._stores = stores
        self._clock = clock
        self._ids = ids
        self._threads = threads
        self._ceilings = ceilings
        self._wake = wake

    async def send(
        self,
        actor: Actor,
        account: str,
        message: OutgoingMessage | RawMessage,
        options: SendOptions | None = None,
    ) -> SentMessage:
        """Send `message` as `account` (its grant id or address); when this returns it is durable.

        Raises NotFound, Forbidden, Invalid, Conflict (the key stands for another message), TooMany,
        Unavailable. Both protocol switches may be off.
        """
        options = options or SendOptions()
        identity = await self._identity(actor, account)
        once = once_key(message, options) if options.idempotency_key is not None else None
        if once is not None:
            earlier = await self._sent_before(identity, once)
            if earlier is not None:
                return _sent(identity, _as_receipt(earlier))
        try:
            submission = await self._submission(actor, identity, message, options, once)
            receipt = await self._intake.submit(submission)
        except Refusal as refusal:
            raise service_error(refusal, self._clock.now()) from refusal
        if not receipt.held and receipt.release_at is None and not receipt.repeated:
            self._wake()
        return _sent(identity, receipt)

    async def _identity(self, actor: Actor, reference: str) -> Identity:
        try:
            account = await self._directory.find_login(reference)
            if account is None or not _may_see(actor, account):
                raise not_found("account", reference)
            found = await self._directory.identity(account.id, None)
        except DatabaseAway as error:
            raise away(str(error)) from error
        if isinstance(found, Refused):
            raise may_not(found.reason, account)
        return found

    async def _sent_before(self, identity: Identity, once: OnceKey) -> Stored | None:
        """What the key stands for: also where policy would refuse the same message today."""
        store = self._stores.get(identity.workspace.location)
        if store is None:
            return None
        try:
            earlier = await store.find_once(identity.account.id, once.key)
        except DatabaseAway as error:
            raise away(str(error)) from error
        return same_or_conflict(earlier, once) if earlier is not None else None

    async def _submission(
        self,
        actor: Actor,
        identity: Identity,
        message: OutgoingMessage | RawMessage,
        options: SendOptions,
        once: OnceKey | None,
    ) -> Submission:
        now = self._clock.now()
        send_at = _checked_time(options.send_at, now)
        self._check_size(_octets(message))
        make = partial(self._composed, identity, message, send_at)
        if _octets(message) > _LARGE_OCTETS:
            content, envelope = await asyncio.get_running_loop().run_in_executor(self._threads, make)
        else:
            content, envelope = make()
        self._check_size(len(content))
        client = ClientInfo(actor.address or "", 0, "", "HTTP")
        given = GivenOptions(options.stream, options.tags, options.metadata)
        asked = given if given != GivenOptions() else None
        return Submission(identity, Origin.API, envelope, content, client, now, asked, send_at, once)

    def _composed(
        self, identity: Identity, message: OutgoingMessage | RawMessage, send_at: float | None
    ) -> tuple[bytes, Envelope]:
        account = identity.account
        if isinstance(message, RawMessage):
            header = header_of(message, self._ceilings.content)
            given = message.recipients
            recipients = given if given is not None else recipients_of(header, self._ceilings.recipients)
            path = author_of(header) or read_address(account.address).mailbox
            content, smtputf8 = message.content, not path.is_ascii
        else:
            sender = message.sender or read_address(account.address, account.display_name or "")
            recipients, path = message.recipients, wire_mailbox(sender.mailbox)
            self._check_count(recipients)
            composed = compose(message, sender, self._ids.raw().hex(), send_at)
            content, smtputf8 = composed.content, composed.smtputf8
        self._check_count(recipients)
        commands = tuple(RcptCommand(wire_mailbox(mailbox)) for mailbox in recipients)
        smtputf8 = smtputf8 or not all(command.recipient.is_ascii for command in commands)
        return content, Envelope(path, commands, smtputf8=smtputf8)

    def _check_size(self, octets: int) -> None:
        most = self._ceilings.message_octets
        if octets > most:
            raise Invalid(
                "message-too-large",
                f"The message has {octets} octets; at most {most} are taken.",
                "Send less, or a link instead of the file.",
            )

    def _check_count(self, recipients: tuple[Mailbox, ...]) -> None:
        if not recipients:
            raise Invalid(
                "no-recipients", "The message goes to nobody.", "Give at least one of to, cc and bcc."
            )
        most = self._ceilings.recipients
        if len(recipients) > most:
            raise Invalid(
                "too-many-recipients",
                f"The message has more than {most} recipients.",
                "Send it to the others in another message.",
            )


def _may_see(actor: Actor, account: AccountRecord) -> bool:
    return (
        actor.tenant_id in (None, account.tenant_id)
        and actor.workspace_id in (None, account.workspace_id)
        and actor.environment in (None, account.environment)
    )


def _checked_time(send_at: float | None, now: float) -> float | None:
    if send_at is None or send_at <= now:
        return None
    if send_at > now + MOST_AHEAD_SECONDS:
        days = int(MOST_AHEAD_SECONDS / 86_400)
        raise Invalid(
            "send-at-too-far", f"send_at is more than {days} days ahead.", "Choose an earlier time."
        )
    return send_at


def _octets(message: OutgoingMessage | RawMessage) -> int:
    if isinstance(message, RawMessage):
        return len(message.content)
    texts = len(message.text or "") + len(message.html or "")
    return texts + sum(len(file.content) for file in message.attachments)


def _as_receipt(stored: Stored) -> Receipt:
    return Receipt(stored.id, stored.state is State.HELD, stored.release_at, repeated=True)


def _sent(identity: Identity, receipt: Receipt) -> SentMessage:
    state: Literal["queued", "scheduled", "held"] = "queued"
    if receipt.held:
        state = "held"
    elif receipt.release_at is not None:
        state = "scheduled"
    account = identity.account
    return SentMessage(receipt.id, account.id, account.tenant_id, state, receipt.release_at, receipt.repeated)
