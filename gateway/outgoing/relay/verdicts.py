"""What a peer's replies mean for each recipient: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.outgoing.queue.retry import next_step
from gateway.outgoing.queue.values import Outcome, OutcomeKind
from gateway.outgoing.relay.replies import PeerReply
from gateway.outgoing.relay.reports import Action, ReportedRecipient, wants
from gateway.outgoing.relay.transaction import Sent

if TYPE_CHECKING:
    from gateway.outgoing.queue import NewMessage, QueuedRecipient, StoredMessage

_TIME_EXPIRED = "4.4.7"
"""RFC 3463 §3.5: delivery time expired."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One recipient and the reply that decides about it.

    `peer` is who gave it, None if we did. `possible_duplicate`: the peer may have taken the
    message. `is_end_of_dsn`: a peer took it that will not report success itself.
    """

    recipient: QueuedRecipient
    reply: PeerReply
    peer: str | None = None
    possible_duplicate: bool = False
    is_end_of_dsn: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one recipient, and what the sender is to be told about it, if anything."""

    outcome: Outcome
    report: ReportedRecipient | None


def fates_of(
    recipients: Sequence[QueuedRecipient], sent: Sent, peer: str, *, peer_reports: bool
) -> list[Fate]:
    """Each recipient's fate by what came of a transaction."""
    lost = PeerReply(451, f"4.4.2 {sent.trouble or 'the connection was lost'}".encode("ascii", "replace"))
    accepted = frozenset(sent.accepted) if sent.unanswered else frozenset()
    return [
        Fate(
            recipient,
            reply if reply is not None else lost,
            peer,
            possible_duplicate=index in accepted,
            is_end_of_dsn=not peer_reports,
        )
        for index, (recipient, reply) in enumerate(zip(recipients, sent.fates, strict=True))
    ]


def judge(message: StoredMessage, fate: Fate, now: float, random: Callable[[], float]) -> Verdict:
    """Delivered, bounced, deferred until its next attempt, or expired."""
    kind = fate.reply.code // 100
    if kind == 2:
        verdict = _ended(message, fate, OutcomeKind.DELIVERED, now, "relayed" if fate.is_end_of_dsn else None)
    elif kind == 5:
        verdict = _ended(message, fate, OutcomeKind.BOUNCED, now, "failed")
    else:
        verdict = _try_again(message, fate, now, random)
    return verdict


def judge_late(message: StoredMessage, recipient: QueuedRecipient, end_of_life: float, now: float) -> Verdict:
    """A recipient for which no attempt is due: its time is over, or its sender hears of the delay.

    In the second case it goes on waiting for what it waited for.
    """
    last = recipient.last_reply or "there was no attempt: its shard or tenant is paused"
    reply = PeerReply(451, f"{_TIME_EXPIRED} {last}".encode("ascii", "replace"))
    fate = Fate(recipient, reply)
    if now >= end_of_life:
        return _ended(message, fate, OutcomeKind.EXPIRED, now, "failed")
    outcome = replace(
        _outcome(message, fate, OutcomeKind.DEFERRED, now),
        reply="",
        enhanced=None,
        next_attempt_at=recipient.next_attempt_at,
        parked=recipient.parked,
        delay_notified=True,
    )
    return Verdict(outcome, _report(message, fate, "delayed", now, last, end_of_life))


def parked(message: StoredMessage, recipient: QueuedRecipient, why: str, now: float) -> Outcome:
    """Not now and nobody knows when: its shard or tenant (`why`) is paused."""
    return Outcome(
        message.id, recipient.n, recipient.attempt, OutcomeKind.DEFERRED, now, message.tenant_id, parked=why
    )


def handed_back(message: StoredMessage, recipient: QueuedRecipient, now: float) -> Outcome:
    """No attempt was made: any worker may make it."""
    return Outcome(
        message.id, recipient.n, recipient.attempt, OutcomeKind.HANDED_BACK, now, message.tenant_id
    )


def unknown(message: StoredMessage, recipient: QueuedRecipient, peer: str, now: float) -> Outcome:
    """The final dot is out and unanswered; the answer is still awaited."""
    return Outcome(
        message.id,
        recipient.n,
        recipient.attempt,
        OutcomeKind.UNKNOWN,
        now,
        message.tenant_id,
        peer=peer,
    )


def outcomes_of(verdicts: Sequence[Verdict], report: NewMessage | None) -> list[Outcome]:
    """The outcomes of one batch; the first that is reported carries the report on all of them."""
    outcomes = [verdict.outcome for verdict in verdicts]
    if report is not None:
        carrier = next(index for index, verdict in enumerate(verdicts) if verdict.report is not None)
        outcomes[carrier] = replace(outcomes[carrier], dsn=report)
    return outcomes


def _try_again(message: StoredMessage, fate: Fate, now: float, random: Callable[[], float]) -> Verdict:
    recipient = fate.recipient
    step = next_step(recipient.attempt, recipient.queued_at, recipient.give_up_at, now, random)
    if step.next_attempt_at is None:
        return _ended(message, fate, OutcomeKind.EXPIRED, now, "failed")
    tell = step.delay_notice and not recipient.delay_notified
    outcome = replace(
        _outcome(message, fate, OutcomeKind.DEFERRED, now),
        next_attempt_at=step.next_attempt_at,
        delay_notified=tell,
        possible_duplicate=fate.possible_duplicate,
    )
    if not tell:
        return Verdict(outcome, None)
    return Verdict(outcome, _report(message, fate, "delayed", now, fate.reply.text, recipient.give_up_at))


def _ended(
    message: StoredMessage, fate: Fate, kind: OutcomeKind, now: float, action: Action | None
) -> Verdict:
    outcome = _outcome(message, fate, kind, now)
    if fate.possible_duplicate:
        outcome = replace(outcome, possible_duplicate=True)
    if action is None:
        return Verdict(outcome, None)
    return Verdict(outcome, _report(message, fate, action, now, fate.reply.text, None))


def _outcome(message: StoredMessage, fate: Fate, kind: OutcomeKind, now: float) -> Outcome:
    reply = fate.reply
    return Outcome(
        message.id,
        fate.recipient.n,
        fate.recipient.attempt,
        kind,
        now,
        message.tenant_id,
        reply.text,
        reply.enhanced,
        fate.peer,
        used_by=message.used_by,
    )


def _report(
    message: StoredMessage, fate: Fate, action: Action, now: float, diagnostic: str, until: float | None
) -> ReportedRecipient | None:
    """What the sender is told, if it asked; never anything to a null reverse-path (RFC 5321 §4.5.5)."""
    recipient = fate.recipient
    if not message.reverse_path or not wants(recipient, action):
        return None
    if action == "failed" and fate.reply.code // 100 == 4:
        status = _TIME_EXPIRED
    else:
        status = fate.reply.enhanced or f"{fate.reply.code // 100}.0.0"
    return ReportedRecipient(
        recipient.address,
        recipient.orcpt,
        action,
        status,
        diagnostic,
        fate.peer,
        now,
        until if action == "delayed" else None,
    )
