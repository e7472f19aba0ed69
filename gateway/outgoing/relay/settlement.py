"""From what happened to what is written: outcomes, the reports they call for, the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.outgoing.queue.retry import end_of_life
from gateway.outgoing.queue.values import Outcome, OutcomeKind
from gateway.outgoing.relay.gates import Entry
from gateway.outgoing.relay.recorder import Recorder
from gateway.outgoing.relay.replies import PeerReply
from gateway.outgoing.relay.reports import DsnRequest, WriteReport
from gateway.outgoing.relay.verdicts import (
    Fate,
    Verdict,
    handed_back,
    judge,
    judge_late,
    outcomes_of,
    parked,
    unknown,
)
from gateway.system.clock import Clock

if TYPE_CHECKING:
    from gateway.outgoing.queue import NewMessage, StoredMessage

_REPORT_AGAIN_SECONDS = 300.0


class RelayMetrics(Protocol):
    """What the relay counts."""

    def outcome(self, kind: str, recipients: int) -> None:
        """So many recipients' attempts ended like this (`delivered`, `deferred` …)."""
        ...

    def connection(self, worked: bool) -> None:
        """A connection was opened, or could not be."""
        ...

    def transaction(self, seconds: float, octets: int) -> None:
        """One transaction was run."""
        ...


class Settlement:
    """Turns fates into outcomes and hands them to the recorder of their location."""

    def __init__(
        self,
        recorders: Mapping[str, Recorder],
        write_report: WriteReport,
        clock: Clock,
        random: Callable[[], float],
        metrics: RelayMetrics | None,
    ) -> None:
        self._recorders = recorders
        self._write_report = write_report
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._loading: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("gateway.outgoing.relay")

    def attempted(
        self, entry: Entry, fates: Sequence[Fate], content: bytes | None, slot: int | None = None
    ) -> None:
        """Every recipient in `fates` has been tried, or could not be.

        `content` None: it was not read; it is, if a report needs it. `slot` is the ledger's.
        """
        now = self._clock.now()
        message = entry.delivery.message
        verdicts = [judge(message, fate, now, self._random) for fate in fates]
        self._settle(entry, verdicts, content, slot)

    def late(self, entry: Entry) -> None:
        """No attempt is due: give up, or tell of the delay."""
        now = self._clock.now()
        message = entry.delivery.message
        verdicts = []
        for recipient in entry.delivery.recipients:
            end = end_of_life(recipient.queued_at, recipient.give_up_at, parked=recipient.parked is not None)
            verdicts.append(judge_late(message, recipient, end, now))
        self._settle(entry, verdicts, None, None)

    def park(self, entry: Entry, why: str) -> None:
        """Its shard or tenant (`why`) is paused."""
        now = self._clock.now()
        message = entry.delivery.message
        outcomes = [parked(message, recipient, why, now) for recipient in entry.delivery.recipients]
        self._recorders[entry.location].add(outcomes)

    def hand_back(self, entry: Entry) -> None:
        """No attempt was made, another worker may make it."""
        now = self._clock.now()
        message = entry.delivery.message
        outcomes = [handed_back(message, recipient, now) for recipient in entry.delivery.recipients]
        self._recorders[entry.location].add(outcomes)

    def unanswered(self, entry: Entry, accepted: Sequence[int], peer: str) -> None:
        """The final dot was written for these recipients half a minute ago."""
        now = self._clock.now()
        message = entry.delivery.message
        waiting = [entry.delivery.recipients[index] for index in accepted]
        self._recorders[entry.location].add([unknown(message, one, peer, now) for one in waiting])
        self._log.info(
            "attempt_unanswered",
            message_id=message.id,
            tenant_id=message.tenant_id,
            account_id=message.account_id,
            shard=entry.delivery.shard_id,
            peer=peer,
            recipients=[recipient.n for recipient in waiting],
        )

    async def finish(self) -> None:
        """Wait until nothing is being read for a report, and all outcomes are written."""
        while self._loading:
            await asyncio.wait(self._loading)
        for recorder in self._recorders.values():
            await recorder.flush()

    def abandon(self) -> None:
        """Write nothing more: what is left is recovered at the next start."""
        for recorder in self._recorders.values():
            recorder.abandon()

    def _settle(self, entry: Entry, verdicts: list[Verdict], content: bytes | None, slot: int | None) -> None:
        if content is None and any(verdict.report is not None for verdict in verdicts):
            task = asyncio.get_running_loop().create_task(self._load_and_settle(entry, verdicts, slot))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)
            return
        report: NewMessage | None = None
        reported = tuple(verdict.report for verdict in verdicts if verdict.report is not None)
        message = entry.delivery.message
        if reported:
            request = DsnRequest(message, reported, content or b"", self._clock.now())
            try:
                report = self._write_report(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left without a report
                verdicts = self._without_report(message, verdicts, error)
        outcomes = outcomes_of(verdicts, report)
        self._recorders[entry.location].add(outcomes, slot)
        self._tell(entry, outcomes, report)

    async def _load_and_settle(self, entry: Entry, verdicts: list[Verdict], slot: int | None) -> None:
        try:
            content = (await entry.delivery.load()).content
        except Exception as error:  # noqa: BLE001 - ContentGone, Refusal, or what nobody expected
            # A report without the returned message is better than none, and its rows are not ours for ever.
            content = b""
            message_id = entry.delivery.message.id
            self._log.warning("report_without_content", message_id=message_id, error=str(error))
        self._settle(entry, verdicts, content, slot)

    def _without_report(
        self, message: StoredMessage, verdicts: list[Verdict], error: Exception
    ) -> list[Verdict]:
        """A failure that cannot be reported now is not final yet: it waits until it can be."""
        self._log.error(
            "report_not_written", message_id=message.id, tenant_id=message.tenant_id, error=str(error)
        )
        at = self._clock.now() + _REPORT_AGAIN_SECONDS
        return [Verdict(_not_final(verdict.outcome, at), None) for verdict in verdicts]

    def _tell(self, entry: Entry, outcomes: Sequence[Outcome], report: NewMessage | None) -> None:
        """One line for recipients that share outcome and reply; usually one a transaction."""
        groups: dict[tuple[str, str], list[Outcome]] = {}
        for outcome in outcomes:
            groups.setdefault((outcome.kind.value, outcome.reply), []).append(outcome)
        message = entry.delivery.message
        for (kind, reply), group in groups.items():
            first = group[0]
            self._log.info(
                kind,
                message_id=message.id,
                tenant_id=message.tenant_id,
                account_id=message.account_id,
                shard=entry.delivery.shard_id,
                domain=entry.delivery.destination,
                recipients=[outcome.n for outcome in group],
                attempt=first.attempt,
                peer=first.peer,
                reply=reply,
            )
            if self._metrics is not None:
                self._metrics.outcome(kind, len(group))
            if first.possible_duplicate:
                self._log.warning(
                    "possible_duplicate",
                    message_id=message.id,
                    tenant_id=message.tenant_id,
                    account_id=message.account_id,
                    recipients=[outcome.n for outcome in group if outcome.possible_duplicate],
                    peer=first.peer,
                )
        if report is not None:
            self._log.info(
                "report_stored", message_id=message.id, tenant_id=message.tenant_id, report=report.id
            )


def _not_final(outcome: Outcome, at: float) -> Outcome:
    if outcome.kind in (OutcomeKind.BOUNCED, OutcomeKind.EXPIRED):
        return replace(outcome, kind=OutcomeKind.DEFERRED, next_attempt_at=at)
    if outcome.kind is OutcomeKind.DEFERRED:
        return replace(outcome, delay_notified=False)
    return outcome


def no_attempt(entry: Entry, reply: PeerReply, peer: str | None = None) -> list[Fate]:
    """The fates of all recipients of an entry that share one reply."""
    return [Fate(recipient, reply, peer) for recipient in entry.delivery.recipients]
