"""Asking a rule's condition about a message: fields to values, ops to answers."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from gateway.control.policies.rulefields import DAYS, HEADER_PREFIX
from gateway.control.policies.rules import All, AnyOf, Condition, Not, Test
from gateway.control.records import NO_LISTS
from gateway.mail.mime import decode_words
from gateway.outgoing.policy.limits import names_of, scanned_attachments, types_of

if TYPE_CHECKING:
    from gateway.control.policies.patterns import Pattern
    from gateway.control.policies.rules import Network
    from gateway.control.records import ListKind, ListRecord, ListsInReach
    from gateway.mail.address import Mailbox
    from gateway.outgoing.policy.values import Facts, MessageOptions

TextValues = Iterable[str]
NumberValues = Iterable[int]


class Subject:
    """A message as rules see it: facts, author, options so far (rules may add tags), the tenant's lists."""

    __slots__ = ("author", "facts", "lists", "options")

    def __init__(
        self, facts: Facts, author: Mailbox, options: MessageOptions, lists: ListsInReach = NO_LISTS
    ) -> None:
        self.facts = facts
        self.lists = lists
        self.author = author
        self.options = options


def holds(condition: Condition, subject: Subject) -> bool:
    """Whether the condition is true of the message. Raises Refusal if its attachments cannot be known."""
    if isinstance(condition, Test):
        return _test(condition, subject)
    if isinstance(condition, All):
        return all(holds(one, subject) for one in condition.of)
    if isinstance(condition, AnyOf):
        return any(holds(one, subject) for one in condition.of)
    assert isinstance(condition, Not)
    return not holds(condition.of, subject)


def _test(test: Test, subject: Subject) -> bool:
    number = _NUMBERS.get(test.field)
    if number is not None:
        return _compare_numbers(test, number(subject))
    if test.op == "in_network":
        return _in_network(subject.facts.client_address, cast("Sequence[Network]", test.operand))
    if test.op == "in_list":
        return _in_list(subject.lists.get(cast("str", test.operand)), _TEXTS[test.field](subject))
    if test.field.startswith(HEADER_PREFIX):
        return _compare_texts(test, _header(test.field.removeprefix(HEADER_PREFIX), subject))
    return _compare_texts(test, _TEXTS[test.field](subject))


def _compare_texts(test: Test, values: TextValues) -> bool:
    operand = test.operand
    folded = (value.casefold() for value in values)
    if test.op == "is":
        return any(value == operand for value in folded)
    if test.op == "is_not":
        return all(value != operand for value in folded)
    if test.op == "in":
        allowed = cast("frozenset[str]", operand)
        return any(value in allowed for value in folded)
    if test.op == "matches":
        pattern = cast("Pattern", operand)
        return any(pattern.matches(value) for value in folded)
    text = cast("str", operand)
    if test.op == "contains":
        return any(text in value for value in folded)
    if test.op == "starts_with":
        return any(value.startswith(text) for value in folded)
    assert test.op == "ends_with", "the grammar lets no other op through"
    return any(value.endswith(text) for value in folded)


def _in_list(named: ListRecord | None, values: TextValues) -> bool:
    """Whether a value stands in the list, each looked up once; nothing does in one that is not there."""
    if named is None:
        return False
    part = _PARTS[named.kind]
    return any(part(value.casefold()) in named.values for value in values)


def _compare_numbers(test: Test, values: NumberValues) -> bool:
    operand = test.operand
    if test.op == "is":
        return any(value == operand for value in values)
    if test.op == "is_not":
        return all(value != operand for value in values)
    if test.op == "in":
        allowed = cast("frozenset[int]", operand)
        return any(value in allowed for value in values)
    bound = cast("int", operand)
    if test.op == "greater":
        return any(value > bound for value in values)
    assert test.op == "less", "the grammar lets no other op through"
    return any(value < bound for value in values)


def _in_network(address: str, networks: Sequence[Network]) -> bool:
    known = _address(address)
    return known is not None and any(known in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The client's address; one of IPv4 inside IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _header(name: str, subject: Subject) -> TextValues:
    for field in subject.facts.by_name.get(name.encode("ascii"), ()):
        yield decode_words(field.value.decode("utf-8", "replace"))


def _subject_texts(subject: Subject) -> TextValues:
    # A message without the field has an empty subject, so that `is ""`-like rules need no second form.
    return list(_header("subject", subject)) or [""]


def _sender(subject: Subject) -> TextValues:
    path = subject.facts.envelope.reverse_path
    return [path.key if path is not None else "<>"]


def _client_address(subject: Subject) -> TextValues:
    address = _address(subject.facts.client_address)
    return [str(address)] if address is not None else []


def _now(subject: Subject) -> time.struct_time:
    return time.gmtime(subject.facts.at)


_TEXTS: dict[str, Callable[[Subject], TextValues]] = {
    "from": lambda subject: [subject.author.key],
    "from.domain": lambda subject: [subject.author.domain_key],
    "sender": _sender,
    "to": lambda subject: [one.recipient.key for one in subject.facts.envelope.recipients],
    "to.domain": lambda subject: {one.recipient.domain_key for one in subject.facts.envelope.recipients},
    "subject": _subject_texts,
    "stream": lambda subject: [subject.options.stream],
    "tag": lambda subject: subject.options.tags,
    "attachment.type": lambda subject: [
        value for attachment in scanned_attachments(subject.facts) for value in types_of(attachment)
    ],
    "attachment.name": lambda subject: [
        value for attachment in scanned_attachments(subject.facts) for value in names_of(attachment)
    ],
    "client.address": _client_address,
    "day": lambda subject: [DAYS[_now(subject).tm_wday]],
}

_NUMBERS: dict[str, Callable[[Subject], NumberValues]] = {
    "recipients": lambda subject: [len(subject.facts.envelope.recipients)],
    "size": lambda subject: [subject.facts.size],
    "attachment.size": lambda subject: [one.size for one in scanned_attachments(subject.facts)],
    "attachment.count": lambda subject: [len(scanned_attachments(subject.facts))],
    "hour": lambda subject: [_now(subject).tm_hour],
}

# What of an address or a domain a list of each kind holds.
_PARTS: dict[ListKind, Callable[[str], str]] = {
    "domain": lambda value: value.rpartition("@")[2],
    "tld": lambda value: value.rpartition(".")[2],
    "address": lambda value: value,
}
