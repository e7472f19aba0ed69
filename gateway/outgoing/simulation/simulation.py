"""The replay itself: judge what was accepted, in the order of time, and count what would be different."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gateway.outgoing.quota import window_start
from gateway.outgoing.simulation.judge import Judge, Verdict, World
from gateway.outgoing.simulation.recorded import RecordedMessage, recorded_messages
from gateway.outgoing.simulation.values import AccountTotal, Difference, Outcome, RuleTotal, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.system.database import Database

SHOWN_DIFFERENCES = 1_000
_SHOWN_RECIPIENTS = 20
_PROGRESS = 1_000


def simulate(
    database: Database,
    world: World,
    *,
    since: float,
    until: float,
    most: int = SHOWN_DIFFERENCES,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Simulation:
    """Replay a workspace's mail from `since` to `until` (seconds since 1970) out of its location's database.

    `most` bounds the differences that are listed. `on_progress` gets the number of messages so far, now and
    then. Reads only; memory grows with accounts and counters, not with messages. Raises DatabaseAway.
    """
    judge, tally = Judge(world), _Tally(most)
    # Windows that were open already: what was counted in them counts, though it is not reported.
    begin = float(window_start("month", since))
    for number, message in enumerate(recorded_messages(database, world.workspace, begin, until), 1):
        verdict = judge.judge(message)
        if message.row.received_at >= since:
            tally.add(message, verdict)
        if number % _PROGRESS == 0:
            judge.forget_before(message.at)
            on_progress(number)
    return tally.result(world, since, until)


@dataclass(slots=True)
class _OfRule:
    messages: int = 0
    recipients: int = 0
    accounts: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _OfAccount:
    account: str
    tenant_id: str
    refused: int = 0
    held: int = 0
    recipients: int = 0


class _Tally:
    """Counts verdicts; keeps the first differences."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._outcomes: Counter[Literal["accepted", "refused", "held", "released"]] = Counter()
        self._unjudged: Counter[str] = Counter()
        self._recipients = 0
        self._rules: dict[tuple[str, Outcome], _OfRule] = {}
        self._accounts: dict[str, _OfAccount] = {}
        self._differences: list[Difference] = []

    def add(self, message: RecordedMessage, verdict: Verdict) -> None:
        """One message that is reported on."""
        was_held = message.row.hold_rule is not None
        if verdict.unjudged is not None:
            self._unjudged[verdict.unjudged] += 1
        elif verdict.action == "reject":
            self._differ(message, verdict, "refused")
        elif verdict.action == "hold" and not was_held:
            self._differ(message, verdict, "held")
        else:
            self._outcomes["released" if was_held and verdict.action == "accept" else "accepted"] += 1

    def result(self, world: World, since: float, until: float) -> Simulation:
        """What was found; rules and accounts with the most messages first."""
        rules = [
            RuleTotal(rule, outcome, of.messages, of.recipients, len(of.accounts))
            for (rule, outcome), of in self._rules.items()
        ]
        accounts = [
            AccountTotal(account_id, of.account, of.tenant_id, of.refused, of.held, of.recipients)
            for account_id, of in self._accounts.items()
        ]
        return Simulation(
            workspace_id=world.workspace.id,
            policy=world.workspace.policy,
            since=since,
            until=until,
            accepted=self._outcomes["accepted"],
            refused=self._outcomes["refused"],
            held=self._outcomes["held"],
            released=self._outcomes["released"],
            recipients=self._recipients,
            unjudged=dict(sorted(self._unjudged.items())),
            rules=tuple(sorted(rules, key=lambda one: (-one.messages, one.rule))),
            accounts=tuple(sorted(accounts, key=lambda one: (-one.refused - one.held, one.account))),
            differences=tuple(self._differences),
        )

    def _differ(self, message: RecordedMessage, verdict: Verdict, outcome: Outcome) -> None:
        row, count = message.row, len(message.envelope.recipients)
        self._outcomes[outcome] += 1
        self._recipients += count
        rule = self._rules.setdefault((verdict.rule, outcome), _OfRule())
        rule.messages += 1
        rule.recipients += count
        rule.accounts.add(row.account_id)
        account = self._accounts.setdefault(row.account_id, _OfAccount(verdict.account, row.tenant_id))
        account.recipients += count
        if outcome == "refused":
            account.refused += 1
        else:
            account.held += 1
        if len(self._differences) < self._most:
            self._differences.append(_difference(message, verdict, outcome))


def _difference(message: RecordedMessage, verdict: Verdict, outcome: Outcome) -> Difference:
    row = message.row
    addresses = [str(command.recipient) for command in message.envelope.recipients]
    return Difference(
        message_id=row.id,
        at=row.received_at,
        outcome=outcome,
        rule=verdict.rule,
        reply=str(verdict.reply) if verdict.reply is not None else None,
        tenant_id=row.tenant_id,
        account_id=row.account_id,
        account=verdict.account,
        sender=row.reverse_path,
        subject=row.subject,
        recipients=tuple(addresses[:_SHOWN_RECIPIENTS]),
        recipient_count=len(addresses),
    )
