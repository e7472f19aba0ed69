"""One attempt: from an entry and a connection (or a folder) to the fate of its recipients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.mail.reply import Refusal
from gateway.outgoing.queue.values import ContentGone, QueuedRecipient, StoredContent
from gateway.outgoing.relay.capture import CaptureWriter
from gateway.outgoing.relay.clearance import Clearance, Go, Preparation
from gateway.outgoing.relay.connection import Connection
from gateway.outgoing.relay.gates import Entry
from gateway.outgoing.relay.ledger import DotLedger, LedgerFull
from gateway.outgoing.relay.replies import PeerReply, printable
from gateway.outgoing.relay.settlement import RelayMetrics, Settlement, no_attempt
from gateway.outgoing.relay.transaction import Mail, Sent, Unsendable, commands_for, wire_parts
from gateway.outgoing.relay.verdicts import Fate, fates_of
from gateway.system.clock import Clock
from gateway.system.database import DatabaseAway

if TYPE_CHECKING:
    from gateway.outgoing.relay.channel import Channel

_TOO_MANY_RECIPIENTS = 452
_CLOSING = 421


class _Watch:
    """Marks the ledger before the final dot of one transaction and reports a long silence after it."""

    __slots__ = ("_entry", "_ledger", "_peer", "_settlement", "slot")

    def __init__(self, entry: Entry, ledger: DotLedger, settlement: Settlement, peer: str) -> None:
        self._entry = entry
        self._ledger = ledger
        self._settlement = settlement
        self._peer = peer
        self.slot: int | None = None

    def before_dot(self, accepted: tuple[int, ...]) -> None:
        recipients = self._entry.delivery.recipients
        pairs = [(recipients[index].n, recipients[index].attempt) for index in accepted]
        self.slot = self._ledger.mark(self._entry.delivery.message.id, pairs)

    def still_unanswered(self, accepted: tuple[int, ...]) -> None:
        self._settlement.unanswered(self._entry, accepted, self._peer)


class Attempts:
    """Makes attempts. Each method settles all recipients of its entry, whatever happens."""

    def __init__(
        self,
        clearance: Clearance,
        preparation: Preparation,
        settlement: Settlement,
        ledger: DotLedger,
        captures: CaptureWriter,
        own_folder: Path,
        clock: Clock,
        metrics: RelayMetrics | None,
    ) -> None:
        self._clearance = clearance
        self._preparation = preparation
        self._settlement = settlement
        self._ledger = ledger
        self._captures = captures
        self._own_folder = own_folder
        self._clock = clock
        self._metrics = metrics

    async def send(
        self, entry: Entry, go: Go, connection: Connection, stopping: Callable[[], bool]
    ) -> Entry | None:
        """Try an entry on a connection.

        Returns what is left to do at once in a further transaction: recipients that were too many
        for this one (RFC 5321 §4.5.3.1.10), or all of it if the connection had been closed while idle.
        """
        ready = await self._ready(entry, go)
        if ready is None:
            return None
        mail, stored = ready
        peer, channel = str(connection.endpoint), connection.channel
        try:
            commands = commands_for(mail, channel.features)
        except Unsendable as trouble:
            self._settlement.attempted(entry, no_attempt(entry, trouble.reply, peer), stored.content)
            return None
        watch = _Watch(entry, self._ledger, self._settlement, peer)
        started = self._clock.monotonic()
        try:
            sent = await channel.send(commands, wire_parts(mail), watch)
        except LedgerFull:
            self._settlement.hand_back(entry)
            return None
        if self._metrics is not None:
            self._metrics.transaction(self._clock.monotonic() - started, mail.size)
        return self._conclude(entry, channel, sent, stored, watch.slot, peer, stopping())

    async def capture(self, entry: Entry, go: Go, folder: Path | None) -> None:
        """Write an entry to a folder (None: the installation's own)."""
        ready = await self._ready(entry, go)
        if ready is None:
            return
        mail, stored = ready
        try:
            name = await self._captures.write(folder or self._own_folder, mail)
        except OSError as error:
            why = error.strerror or type(error).__name__
            reply = PeerReply(451, f"4.3.0 the capture folder cannot be written: {why}".encode())
        else:
            reply = PeerReply(250, f"2.0.0 captured as {name}".encode())
        fates = [replace(fate, is_end_of_dsn=True) for fate in no_attempt(entry, reply)]
        self._settlement.attempted(entry, fates, stored.content)

    async def _ready(self, entry: Entry, go: Go) -> tuple[Mail, StoredContent] | None:
        """The message as it will leave; or it is settled that it does not leave now."""
        delivery = entry.delivery
        try:
            later = await self._clearance.account_waits(delivery)
            stored = delivery.carried or await delivery.load()
        except ContentGone as error:
            reply = PeerReply(554, f"5.3.0 {printable(str(error).encode())}".encode("ascii"))
            self._settlement.attempted(entry, no_attempt(entry, reply), b"")
            return None
        except (DatabaseAway, Refusal):
            # Ours to solve, and no attempt: the next claim succeeds when the database is back.
            self._settlement.hand_back(entry)
            return None
        if later is not None:
            reply = PeerReply(451, f"{later.enhanced} {later.reason}".encode("ascii", "replace"))
            self._settlement.attempted(entry, no_attempt(entry, reply), stored.content)
            return None
        try:
            return await self._preparation.mail(delivery, stored, go.shard, self._clock.now()), stored
        except Refusal as refusal:
            text = f"{refusal.reply.enhanced or '4.7.0'} {printable(refusal.reply.text.encode())}"
            reply = PeerReply(451, text.encode("ascii"))
            self._settlement.attempted(entry, no_attempt(entry, reply), stored.content)
            return None

    def _conclude(
        self,
        entry: Entry,
        channel: Channel,
        sent: Sent,
        stored: StoredContent,
        slot: int | None,
        peer: str,
        stopping: bool,
    ) -> Entry | None:
        if not stopping and _was_stale(channel, sent):
            return _with(entry, entry.delivery.recipients)
        recipients = entry.delivery.recipients
        fates = fates_of(recipients, sent, peer, peer_reports=channel.features.dsn)
        left = _left_over(fates, sent)
        if left:
            fates = [fate for fate in fates if fate.recipient not in left]
        if stopping and not sent.unanswered and None in sent.fates:
            # We cut it off ourselves, before the final dot: that was no attempt.
            broken = {index for index, fate in enumerate(sent.fates) if fate is None}
            back = tuple(recipient for index, recipient in enumerate(recipients) if index in broken)
            self._settlement.hand_back(_with(entry, back))
            fates = [fate for fate in fates if fate.recipient not in back]
        if fates or slot is not None:
            self._settlement.attempted(entry, fates, stored.content, slot)
        return _with(entry, left) if left else None


def _was_stale(channel: Channel, sent: Sent) -> bool:
    """Whether a connection that was used before ended without a word about this message."""
    return (
        channel.transactions > 1
        and not sent.accepted
        and all(fate is None or fate.code == _CLOSING for fate in sent.fates)
    )


def _left_over(fates: list[Fate], sent: Sent) -> tuple[QueuedRecipient, ...]:
    """Those refused only because there were too many, if the others have been served."""
    if not sent.accepted or sent.unanswered:
        return ()
    return tuple(
        fate.recipient
        for index, fate in enumerate(fates)
        if fate.reply.code == _TOO_MANY_RECIPIENTS
        and fate.reply.enhanced in (None, "4.5.3")
        and index not in sent.accepted
    )


def _with(entry: Entry, recipients: tuple[QueuedRecipient, ...]) -> Entry:
    return replace(entry, delivery=replace(entry.delivery, recipients=recipients))
