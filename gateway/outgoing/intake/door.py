"""The one door for outgoing mail: what a client submits, and what the gateway itself sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.mail.headers import HeaderBlock
from gateway.mail.message import is_eightbit
from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.intake.completion import Trace, complete_header, only_recipient
from gateway.outgoing.intake.neighbours import Counts, DirectoryView, Forwarder
from gateway.outgoing.intake.recipients import Placement, unique_recipients
from gateway.outgoing.intake.refused import SHOWN_OCTETS, RefusedSubmission, from_of, refused_submission
from gateway.outgoing.intake.values import Origin, Receipt, Submission
from gateway.outgoing.policy import (
    Ceilings,
    Decision,
    Facts,
    check_message_bytes,
    check_recipients,
    check_sender,
    decide,
    gather_facts,
    record_facts,
)
from gateway.outgoing.queue import NewMessage, State
from gateway.outgoing.quota import charges_for
from gateway.outgoing.signing import NoSignature, Signatures, Signer

if TYPE_CHECKING:
    from gateway.control.records import Identity
    from gateway.mail.envelope import MailCommand, RcptCommand
    from gateway.outgoing.queue import Delivery, QueueStore
    from gateway.system.clock import Clock
    from gateway.system.ids import IdSource

LARGE_OCTETS = 128 * 1024
"""Messages over this are looked at in a thread: a millisecond of the event loop is every session's."""

_UNKNOWN_LOCATION = Reply(
    451, "4.3.5", "this workspace's location is not configured on this host; tell the operator"
)


class Intake:
    """Takes messages: facts, policy, header, shard, signature, queue. One for each process."""

    def __init__(
        self,
        *,
        directory: DirectoryView,
        stores: Mapping[str, QueueStore],
        relay: Forwarder,
        signer: Signer,
        organisational_domain: Callable[[str], str],
        hostname: str,
        ceilings: Ceilings,
        clock: Clock,
        ids: IdSource,
        threads: Executor,
        record_refusal: Callable[[str, RefusedSubmission], None],
        counts: Counts,
    ) -> None:
        """`record_refusal` gets a location and a record, and must not block."""
        self._directory = directory
        self._stores = stores
        self._relay = relay
        self._signer = signer
        self._organisational_domain = organisational_domain
        self._hostname = hostname
        self._ceilings = ceilings
        self._clock = clock
        self._ids = ids
        self._threads = threads
        self._record_refusal = record_refusal
        self._counts = counts
        self._log = structlog.get_logger("gateway.outgoing.intake")

    def check_sender(self, identity: Identity, command: MailCommand, client_address: str) -> Reply | None:
        """The refusal of a MAIL FROM that is certain already, recorded; or None.

        Quotas are judged as far as they are known; the store decides.
        """
        refusal = self._sender_refusal(identity, command)
        if refusal is None:
            return None
        path = str(command.reverse_path) if command.reverse_path is not None else ""
        self._refuse_early(identity, refusal, path, (), client_address)
        return refusal.reply

    def check_recipient(
        self,
        identity: Identity,
        accepted: Sequence[RcptCommand],
        recipient: RcptCommand,
        reverse_path: str,
        client_address: str,
    ) -> Reply | None:
        """The refusal of one more RCPT TO, recorded, or None; `accepted` are the recipients before it."""
        try:
            check_recipients(identity.policy, len(accepted) + 1)
        except Refusal as refusal:
            to = (str(recipient.recipient),)
            self._refuse_early(identity, refusal, reverse_path, to, client_address)
            return refusal.reply
        return None

    def _sender_refusal(self, identity: Identity, command: MailCommand) -> Refusal | None:
        decision = check_sender(command.reverse_path, identity, self._directory.claims)
        if decision.reply is not None:
            return Refusal(decision.reply, decision.rule)
        if command.size is not None:
            try:
                check_message_bytes(identity.policy, command.size)
            except Refusal as refusal:
                return refusal
        store = self._stores.get(identity.workspace.location)
        if store is None:
            return Refusal(_UNKNOWN_LOCATION, "location")
        return store.quota.refusal(charges_for(identity, 1), self._clock.now())

    def _refuse_early(
        self,
        identity: Identity,
        refusal: Refusal,
        reverse_path: str,
        recipients: tuple[str, ...],
        client_address: str,
    ) -> None:
        """Record a refusal made before the message came."""
        record = refused_submission(
            identity, refusal, reverse_path, None, recipients, client_address, self._clock.now()
        )
        self._note_refusal(identity, record)

    async def submit(self, submission: Submission) -> Receipt:
        """Take one message; when this returns it is durable and `250` may be sent.

        Raises Refusal with the reply and the rule that refused; nothing but its record is left then.
        """
        try:
            return await self._take(submission)
        except Refusal as refusal:
            self._refused(submission, refusal)
            raise

    async def _take(self, submission: Submission) -> Receipt:
        store = self._stores.get(submission.identity.workspace.location)
        if store is None:
            raise Refusal(_UNKNOWN_LOCATION, "location")
        if len(submission.content) > LARGE_OCTETS:
            loop = asyncio.get_running_loop()
            message = await loop.run_in_executor(self._threads, self._prepare, submission)
        else:
            message = self._prepare(submission)
        return await self._store(store, message)

    async def _store(self, store: QueueStore, message: NewMessage) -> Receipt:
        """Reserve room at the relay, store, hand over what was stored as ours."""
        reserved = message.hold_rule is None and self._relay.reserve(message.tenant_id, message.size)
        deliveries: Sequence[Delivery] = ()
        try:
            stored = await store.add(message, hand_over=reserved)
            deliveries = stored.deliveries
        finally:
            if reserved and not deliveries:
                self._relay.release(message.tenant_id, message.size)
        if deliveries:
            self._relay.hand_over(deliveries, store.location)
        held = stored.state is State.HELD
        if not stored.repeated:
            self._accepted(message, held)
        return Receipt(stored.id, held, stored.release_at, stored.repeated)

    def _prepare(self, submission: Submission) -> NewMessage:
        """From what came to what is to be stored. Pure but for ids and clock; raises Refusal."""
        identity = submission.identity
        credential = identity.credential
        facts = gather_facts(
            submission.content,
            submission.envelope,
            client_address=submission.client.address,
            at=submission.received_at,
            ceilings=self._ceilings,
            default_stream=credential.stream if credential is not None else None,
            given=submission.options,
        )
        decision = decide(facts, identity, self._directory.claims)
        if decision.reply is not None or decision.author is None:
            raise Refusal(decision.reply or Reply(550, "5.7.1", "refused by policy"), decision.rule)
        return self._assemble(submission, facts, decision)

    def _assemble(self, submission: Submission, facts: Facts, decision: Decision) -> NewMessage:
        identity, envelope, options = submission.identity, facts.envelope, decision.options
        assert decision.author is not None
        author = decision.author
        message_id = self._ids.message_id()
        commands = unique_recipients(envelope.recipients)
        header = self._header(submission, facts, message_id, commands, author.domain_key)
        content = b"".join((header.raw, b"\r\n", facts.body))
        rules = identity.policy.queue.stream(options.stream)
        return NewMessage(
            id=message_id,
            tenant_id=identity.tenant.id,
            account_id=identity.account.id,
            workspace_id=identity.workspace.id,
            environment=identity.workspace.environment,
            origin=submission.origin.value,
            stream=options.stream,
            reverse_path=str(envelope.reverse_path) if envelope.reverse_path is not None else "",
            from_address=str(author),
            from_domain=author.domain_key,
            size=len(content),
            content=content,
            sign=self._signature(author.domain_key, identity.tenant.id, header, facts.body),
            recipients=tuple(self._placement(identity, author.domain_key, options.stream).place(commands)),
            give_up_at=submission.received_at + rules.give_up_seconds,
            received_at=submission.received_at,
            credential_id=identity.credential.id if identity.credential is not None else None,
            tags=options.tags,
            metadata=options.metadata,
            header_message_id=_text_of(header, b"message-id"),
            subject=_text_of(header, b"subject"),
            envid=envelope.envid,
            ret=envelope.ret,
            smtputf8=envelope.smtputf8,
            eightbit=is_eightbit(content),
            charges=charges_for(identity, len(commands)),
            first_time=tuple(command.recipient.key for command in commands),
            policy_name=identity.policy.name,
            policy_version=str(identity.policy.version),
            hold_rule=decision.rule if decision.action == "hold" else None,
            scheduled_at=submission.send_at,
            client_address=submission.client.address,
            facts=partial(record_facts, facts, identity.account, author),
            once=submission.once,
        )

    def _header(
        self,
        submission: Submission,
        facts: Facts,
        message_id: str,
        commands: Sequence[RcptCommand],
        domain: str,
    ) -> HeaderBlock:
        """The message's header with what we add: trace, and what a client left out."""
        return complete_header(facts.header, self._trace(submission, message_id, commands), domain)

    def _trace(self, submission: Submission, message_id: str, commands: Sequence[RcptCommand]) -> Trace:
        hides = submission.identity.policy.sender.hide_client
        return Trace(
            self._hostname,
            message_id,
            submission.client,
            only_recipient([str(command.recipient) for command in commands]),
            # A program's own address is no business of those who get its mail.
            hides or submission.origin is Origin.API,
            submission.received_at,
            submission.envelope.smtputf8,
        )

    def _placement(self, identity: Identity, from_domain: str, stream: str) -> Placement:
        environment = identity.workspace.environment
        claims = self._directory.claims(from_domain)
        return Placement(
            self._directory.shards_of(identity.tenant.id, environment),
            environment=environment,
            from_domain=from_domain,
            stream=stream,
            organisational_domain=self._organisational_domain,
            own_only=any(claim.kind == "trial" for claim in claims),
        )

    def _signature(
        self, domain: str, tenant_id: str, header: HeaderBlock, body: bytes
    ) -> Callable[[], Signatures]:
        keys = [
            key
            for key in self._directory.keys_of(domain)
            if key.state == "active" and key.tenant_id == tenant_id and key.domain_id is not None
        ]
        if not keys:
            raise NoSignature(domain, "it has no active key")
        return partial(self._signer.sign, header, body, keys, self._clock.now())

    def _accepted(self, message: NewMessage, held: bool) -> None:
        self._counts.accepted(message.origin)
        self._log.info(
            "held" if held else "accepted",
            message_id=message.id,
            tenant_id=message.tenant_id,
            account_id=message.account_id,
            address=message.client_address,
            sender=message.reverse_path,
            recipients=len(message.recipients),
            octets=message.size,
            stream=message.stream,
            **({"rule": message.hold_rule} if held else {}),
        )

    def _refused(self, submission: Submission, refusal: Refusal) -> None:
        envelope = submission.envelope
        record = refused_submission(
            submission.identity,
            refusal,
            str(envelope.reverse_path) if envelope.reverse_path is not None else "",
            from_of(submission.content),
            tuple(str(command.recipient) for command in envelope.recipients),
            submission.client.address,
            self._clock.now(),
        )
        self._note_refusal(submission.identity, record)

    def _note_refusal(self, identity: Identity, record: RefusedSubmission) -> None:
        self._counts.refused(record.rule)
        self._record_refusal(identity.workspace.location, record)
        self._log.info(
            "refused",
            tenant_id=record.tenant_id,
            account_id=record.account_id,
            sender=record.reverse_path,
            recipients=len(record.recipients),
            reply=record.reply,
            rule=record.rule,
        )


def _text_of(header: HeaderBlock, name: bytes) -> str | None:
    field = header.first(name)
    return field.value[:SHOWN_OCTETS].decode("utf-8", "replace") if field is not None else None
