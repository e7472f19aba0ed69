"""Deciding again about a recorded message: the same questions, rules and quotas, under other documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gateway.control.raises.applied import with_raises
from gateway.control.records import AccountRecord, DomainRecord, Identity
from gateway.mail.reply import Reply
from gateway.outgoing.policy import NotRecorded, decide, restore_facts
from gateway.outgoing.quota import Charge, Counters, Key, QuotaRefused, charges_for, keys_of
from gateway.outgoing.simulation.recorded import address_hash

if TYPE_CHECKING:
    from gateway.control.policies import PolicySet
    from gateway.control.raises.past import PastRaise
    from gateway.control.records import ListsInReach, TenantRecord, WorkspaceRecord
    from gateway.outgoing.policy import Remembered
    from gateway.outgoing.simulation.recorded import RecordedMessage

_OLD_SECONDS = 32 * 86_400.0
_MOST_REMEMBERED = 1_000_000


@dataclass(frozen=True, slots=True)
class World:
    """The control plane of a simulation: the workspace, its tenants and lists as they are, other documents.

    `raises` are all that held at some time of the replay, by tenant.
    """

    workspace: WorkspaceRecord
    policies: PolicySet
    tenant: Callable[[str], TenantRecord | None]
    lists: Callable[[str], ListsInReach]
    raises: Mapping[str, Sequence[PastRaise]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would have become of a message. `unjudged` names what is missing if nobody can tell."""

    action: str = "accept"
    rule: str = ""
    reply: Reply | None = None
    account: str = ""
    unjudged: str | None = None


class Judge:
    """Judges messages in the order of time; remembers counters and recipients of what it let pass."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counters: dict[Key, int] = {}
        self._written_to: set[tuple[str, str]] = set()

    def judge(self, message: RecordedMessage) -> Verdict:
        """The verdict about the next message."""
        tenant = self._world.tenant(message.row.tenant_id)
        if tenant is None:
            return Verdict(unjudged="the tenant is gone")
        try:
            kept = self._restored(message)
        except NotRecorded as missing:
            self._charge_anyway(message, self._identity(message, tenant, None))
            return Verdict(unjudged=missing.what)
        identity = self._identity(message, tenant, kept)
        try:
            decision = decide(kept.facts, identity, partial(_proved, identity))
        except NotRecorded as missing:
            self._charge_anyway(message, identity)
            return Verdict(account=kept.address, unjudged=missing.what)
        if decision.reply is not None:
            return Verdict("reject", decision.rule, decision.reply, kept.address)
        try:
            self._charge(message, identity)
        except QuotaRefused as refusal:
            return Verdict("reject", refusal.rule, refusal.reply, kept.address)
        return Verdict(decision.action, decision.rule, None, kept.address)

    def forget_before(self, at: float) -> None:
        """Let go of counters whose windows are over."""
        if len(self._counters) > _MOST_REMEMBERED // 10:
            recent = {key: n for key, n in self._counters.items() if key[4] > at - _window_seconds(key)}
            self._counters = recent

    def _restored(self, message: RecordedMessage) -> Remembered:
        if message.facts is None:
            raise NotRecorded("the message's facts")
        row = message.row
        return restore_facts(
            message.facts,
            message.envelope,
            client_address=row.client_address or "",
            at=row.received_at,
        )

    def _identity(self, message: RecordedMessage, tenant: TenantRecord, kept: Remembered | None) -> Identity:
        world, row = self._world, message.row
        policy = world.policies.effective(tenant, world.workspace)
        raised = [
            one.record
            for one in world.raises.get(tenant.id, ())
            if one.since <= message.at < one.record.until
        ]
        if raised:
            ceiling = partial(world.policies.ceiling, tenant.plan)
            policy, _ = with_raises(policy, raised, row.account_id, ceiling, message.at)
        account = AccountRecord(
            id=row.account_id,
            tenant_id=tenant.id,
            workspace_id=world.workspace.id,
            address=kept.address if kept is not None else row.from_address,
            aliases=kept.aliases if kept is not None else (),
            display_name=None,
            status="active",
            smtp=True,
            imap=False,
            epoch=0,
            home_location=world.workspace.location,
            created_at=0.0,
            environment=world.workspace.environment,
        )
        return Identity(account, tenant, world.workspace, policy, None, 0, world.lists(tenant.id))

    def _charge(self, message: RecordedMessage, identity: Identity) -> None:
        """Take its quota. Raises QuotaRefused, and nothing is taken then."""
        charges = charges_for(identity, len(message.envelope.recipients))
        if not charges:
            return
        keys = keys_of(charges, message.at, message.release_from)
        counters = Counters({key: self._counters[key] for key in keys if key in self._counters}, message.at)
        new = self._new_recipients(message, charges)
        counters.take(charges, len(new), message.release_from)
        self._counters.update(counters.changed)
        if len(self._written_to) < _MOST_REMEMBERED:
            self._written_to |= new

    def _charge_anyway(self, message: RecordedMessage, identity: Identity) -> None:
        """A message that cannot be judged was accepted, so it counts; whether it fitted is not asked."""
        try:
            self._charge(message, identity)
        except QuotaRefused:
            return

    def _new_recipients(self, message: RecordedMessage, charges: Iterable[Charge]) -> set[tuple[str, str]]:
        if not any(charge.metric == "first_time_recipients" for charge in charges):
            return set()
        account = message.row.account_id
        pairs = {
            (account, address_hash(command.recipient))
            for n, command in enumerate(message.envelope.recipients)
            if n not in message.known
        }
        return pairs - self._written_to


def _proved(identity: Identity, name: str) -> tuple[DomainRecord, ...]:
    """Its domains were proved when the message was accepted, and policies say nothing of them."""
    environment = identity.workspace.environment
    return (DomainRecord("", name, identity.tenant.id, environment, "custom", "active", receives=False),)


def _window_seconds(key: Key) -> float:
    return {"minute": 300.0, "hour": 7_200.0, "day": 172_800.0}.get(key[3], _OLD_SECONDS)
