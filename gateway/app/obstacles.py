"""What stands in a message's way beside its policy, in the order in which a client meets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.control.credentials.signin import Denied, SignInOutcome
from gateway.control.directory import Refused, RefusedReason
from gateway.control.records import KeyRecord, ShardRecord
from gateway.edges.smtp.replies import DATA_TOO_BIG
from gateway.edges.submission.login import denial
from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.intake.recipients import NoShard
from gateway.outgoing.policy import Decision, Step
from gateway.outgoing.quota import Charge
from gateway.outgoing.quota.counters import Counters, Key, keys_of
from gateway.outgoing.signing import NoSignature


@dataclass(frozen=True, slots=True)
class Checked:
    """A question with its answer; `reply` is the refusal, if it is one."""

    step: Step
    reply: Reply | None = None


def sign_in(refused: Refused | None) -> Checked:
    """Whether a session would be let in, or may go on."""
    if refused is None:
        return Checked(Step("sign-in", "passed"))
    reply = denial(Denied(SignInOutcome(refused.reason.value)))
    why = refused.reason.value.replace("_", " ")
    if refused.reason is RefusedReason.PROTOCOL_OFF:
        why = f"{why}; an API key with the right send may send all the same"
    return Checked(Step("sign-in", "refused", why), reply)


def installation_size(size: int, most: int) -> Checked:
    """The size that no policy raises, in octets."""
    name = "[limits] message_bytes"
    if size <= most:
        return Checked(Step(name, "passed"))
    reply = Reply(552, "5.3.4", DATA_TOO_BIG.format(limit=most))
    return Checked(Step(name, "refused", reply.text), reply)


def quota(charges: Sequence[Charge], counters: Mapping[Key, int], first_time: int, now: float) -> Checked:
    """Whether every counter has room for the message."""

    def take() -> None:
        Counters(counters, now).take(charges, first_time, now)

    return _tried("quota", take)


def signature(domain: str, keys: Sequence[KeyRecord]) -> Checked:
    """Whether there is a key to sign with."""

    def sign() -> None:
        if not keys:
            raise NoSignature(domain, "it has no active key")

    return _tried("signing", sign)


def way_out(shards: Sequence[ShardRecord | None], environment: str) -> Checked:
    """Whether there is a shard for every recipient."""

    def place() -> None:
        if None in shards:
            raise NoShard(environment)

    return _tried("shard", place)


def spent(charges: Sequence[Charge], counters: Mapping[Key, int], now: float) -> Iterator[tuple[Charge, int]]:
    """Each charge with what its counter stands at now."""
    for charge in charges:
        keys = keys_of([charge], now, now)
        yield charge, counters.get(min(keys, key=lambda key: key[4]), 0)


def is_early(decision: Decision) -> bool:
    """Whether the policy's refusal comes before quotas are asked: at MAIL FROM."""
    return bool(decision.steps) and decision.steps[-1].rule in ("sender", "limits.message_bytes")


def _tried(name: str, attempt: Callable[[], None]) -> Checked:
    try:
        attempt()
    except Refusal as refusal:
        return Checked(Step(refusal.rule, "refused", refusal.reply.text), refusal.reply)
    return Checked(Step(name, "passed"))
