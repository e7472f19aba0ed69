"""Explaining: the decision about a message that is not sent, with all that went into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from gateway.control.policies.description import DescribedValue, describe
from gateway.mail.envelope import Envelope, RcptCommand
from gateway.outgoing.policy.decision import decide, name_of
from gateway.outgoing.policy.facts import gather_facts
from gateway.outgoing.policy.values import Ceilings, Decision, DomainLookup

if TYPE_CHECKING:
    from gateway.control.policies import DocumentVersion
    from gateway.control.records import Identity
    from gateway.mail.address import Mailbox

_EXAMPLE_SIZE = 2_048


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """A rule in force: `policy free: no executables`, and its action."""

    name: str
    action: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a message of this account would (not) be taken; `reply` is the SMTP reply of a rejection."""

    account: str
    tenant: str
    workspace: str
    environment: str
    documents: tuple[DocumentVersion, ...]
    values: tuple[DescribedValue, ...]
    rules: tuple[ExplainedRule, ...]
    decision: Decision
    reply: str | None


def explain(
    identity: Identity,
    domains: DomainLookup,
    *,
    sender: Mailbox,
    recipients: Sequence[Mailbox] = (),
    size: int | None = None,
    at: float,
    ceilings: Ceilings,
    client_address: str = "",
    stream: str | None = None,
) -> Explanation:
    """What would be decided about a plain message From `sender` to `recipients`, of `size` octets.

    `stream` is the message's, else the credential's. `at` is in seconds since 1970 (UTC), for rules about
    the hour and the day. Nothing is sent, counted or stored. Quotas, shard and route are others' to tell.
    """
    smtputf8 = not all(mailbox.is_ascii for mailbox in (sender, *recipients))
    envelope = Envelope(sender, tuple(RcptCommand(one) for one in recipients), smtputf8=smtputf8)
    if stream is None and identity.credential is not None:
        stream = identity.credential.stream
    facts = gather_facts(
        _example(sender, recipients, at),
        envelope,
        client_address=client_address,
        at=at,
        ceilings=ceilings,
        default_stream=stream,
    )
    facts = replace(facts, size=_EXAMPLE_SIZE if size is None else size)
    decision = decide(facts, identity, domains)
    return Explanation(
        account=identity.account.address,
        tenant=identity.tenant.name,
        workspace=identity.workspace.name,
        environment=identity.workspace.environment,
        documents=identity.policy.documents,
        values=describe(identity.policy),
        rules=tuple(ExplainedRule(name_of(rule), rule.action) for rule in identity.policy.outbound_rules),
        decision=decision,
        reply=str(decision.reply) if decision.reply is not None else None,
    )


def _example(sender: Mailbox, recipients: Sequence[Mailbox], at: float) -> bytes:
    lines = [f"From: {sender}", f"Date: {formatdate(at)}", "Subject: an example"]
    lines += [f"To: {recipient}" for recipient in recipients[:1]]
    return ("\r\n".join(lines) + "\r\n\r\nAn example.\r\n").encode("utf-8")
