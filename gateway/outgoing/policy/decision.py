"""The questions asked of every outgoing message, in their order, and the answer.

The order is documented in docs/policies.md: whose message it is, whether it can be read at all, who says
that they wrote it, whether their domain may send, how large it is, what is in it, what it asks for, and
last the rules of the policy, in order, the first that ends the matter ending it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.policy import identities, limits
from gateway.outgoing.policy.matching import Subject, holds
from gateway.outgoing.policy.options import read_options
from gateway.outgoing.policy.values import Decision, DomainLookup, Facts, MessageOptions, Step

if TYPE_CHECKING:
    from gateway.control.policies import Rule
    from gateway.control.records import Identity, ListsInReach
    from gateway.mail.address import Mailbox

ACCEPTED = "accepted"
"""The rule of a message that nothing stands against."""


@dataclass(slots=True)
class _Case:
    """A message on its way through the questions; what is found out is kept for the later ones."""

    facts: Facts
    identity: Identity
    domains: DomainLookup
    named: tuple[Mailbox, ...] = ()
    options: MessageOptions = field(default_factory=MessageOptions)


def _reverse_path(case: _Case) -> None:
    identities.check_reverse_path(case.facts.envelope.reverse_path, case.identity)


def _from(case: _Case) -> None:
    smtputf8 = case.facts.envelope.smtputf8
    case.named = identities.check_from_header(case.facts.by_name, case.identity, smtputf8=smtputf8)


def _domain(case: _Case) -> None:
    path = case.facts.envelope.reverse_path
    named = case.named if path is None else (path, *case.named)
    identities.check_domains(named, case.identity, case.domains)


def _options(case: _Case) -> None:
    case.options = read_options(case.facts.by_name, case.facts.default_stream, case.facts.given)


_QUESTIONS: tuple[tuple[str, Callable[[_Case], None]], ...] = (
    ("sender", _reverse_path),
    ("header.size", lambda case: limits.check_header_size(case.facts.counts, case.facts.ceilings)),
    ("content.nul", lambda case: limits.check_nul(case.facts)),
    ("header.form", lambda case: limits.check_header_form(case.facts)),
    ("from", _from),
    ("domain", _domain),
    ("sender.bare_newlines", lambda case: limits.check_bare_newlines(case.facts, case.identity.policy)),
    ("sender.long_lines", lambda case: limits.check_long_lines(case.facts, case.identity.policy)),
    ("hops", lambda case: limits.check_hops(case.facts)),
    (
        "limits.message_bytes",
        lambda case: limits.check_message_bytes(case.identity.policy, case.facts.size),
    ),
    (
        "limits.recipients_per_message",
        lambda case: limits.check_recipients(case.identity.policy, len(case.facts.envelope.recipients)),
    ),
    ("limits.attachments", lambda case: limits.check_attachments(case.facts, case.identity.policy)),
    ("options", _options),
)
# What every accepted message has: the same steps, made once.
_PASSED = tuple(Step(name, "passed") for name, _ in _QUESTIONS)


def decide(facts: Facts, identity: Identity, domains: DomainLookup) -> Decision:
    """Whether `identity` may send this message now, and why (not). Never raises for what a client sent."""
    case = _Case(facts, identity, domains)
    asked = 0
    try:
        for _, question in _QUESTIONS:
            question(case)
            asked += 1
        if not identity.policy.outbound_rules:
            return Decision("accept", ACCEPTED, None, _PASSED, case.options, case.named[0])
        return _ask_rules(case)
    except Refusal as refusal:
        name = _QUESTIONS[asked][0] if asked < len(_QUESTIONS) else "rules"
        steps = (*_PASSED[:asked], Step(name, "refused", refusal.reply.text))
        return Decision("reject", refusal.rule, refusal.reply, steps)


def check_sender(reverse_path: Mailbox | None, identity: Identity, domains: DomainLookup) -> Decision:
    """The same first question at MAIL FROM, so that a client learns early."""
    try:
        identities.check_reverse_path(reverse_path, identity)
        if reverse_path is not None:
            identities.check_domains([reverse_path], identity, domains)
    except Refusal as refusal:
        step = Step("sender", "refused", refusal.reply.text)
        return Decision("reject", refusal.rule, refusal.reply, (step,))
    return Decision("accept", ACCEPTED, None, _PASSED[:1])


def _ask_rules(case: _Case) -> Decision:
    lists = case.identity.lists
    subject, of_plans = Subject(case.facts, case.named[0], case.options, lists), lists.for_plan()
    steps = list(_PASSED)
    for rule in case.identity.policy.outbound_rules:
        name = name_of(rule)
        subject.lists = of_plans if rule.of_plan else lists
        if not holds(rule.condition, subject):
            steps.append(Step(name, "not matched", lists_of(rule, subject.lists)))
            continue
        asked = lists_of(rule, subject.lists)
        steps.append(Step(name, "matched", f"{rule.action}; {asked}" if asked else rule.action))
        if rule.action == "tag":
            subject.options = _with_tag(subject.options, rule.tag or rule.name)
            continue
        if rule.action == "reject":
            return Decision("reject", name, _reply_of(rule), tuple(steps))
        return Decision(rule.action, name, None, tuple(steps), subject.options, case.named[0])
    return Decision("accept", ACCEPTED, None, tuple(steps), subject.options, case.named[0])


def name_of(rule: Rule) -> str:
    """How a rule is named in decisions, records and logs: `policy free: no executables`."""
    return f"{rule.source}: {rule.name}"


def lists_of(rule: Rule, lists: ListsInReach) -> str:
    """The lists that a rule asks, for people; empty where it asks none."""
    told = []
    for name in rule.lists:
        found = lists.get(name)
        what = f"{found.owner_word}, {len(found.values)} of kind {found.kind}" if found else "is not there"
        told.append(f"list {name} ({what})")
    return ", ".join(told)


def _reply_of(rule: Rule) -> Reply:
    return Reply(550, "5.7.1", rule.reply or f'refused by rule "{rule.name}" of {rule.source}')


def _with_tag(options: MessageOptions, tag: str) -> MessageOptions:
    return options if tag in options.tags else replace(options, tags=(*options.tags, tag))
