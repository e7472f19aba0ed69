"""Rules: in order, the first that ends the matter ends it; fields and ops mean what docs/policies.md says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.policies.rules import All, AnyOf, Condition, Not, Test
from gateway.control.records import Identity, ListRecord, ListsInReach
from gateway.mail.address import parse_mailbox
from gateway.outgoing.policy import MessageOptions
from gateway.outgoing.policy.matching import Subject, holds
from tests.unit.outgoing.policy.cases import (
    ADDRESS,
    AT,
    envelope,
    facts,
    identity,
    judge,
    message,
    policy,
    refusal,
)
from tests.unit.outgoing.policy.test_limits import attachment, with_attachments


def rule(conditions: str, action: str = 'action = "hold"', name: str = "r") -> str:
    """The text of a rule."""
    return f'[[rules]]\nname = "{name}"\n{conditions}\n{action}\n'


CONTENT = message(
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= to all",
    "X-Campaign: Spring",
    "X-Campaign: Summer",
    "X-Gatepost-Stream: marketing",
    "X-Gatepost-Tag: News",
)
ENVELOPE = envelope(recipients=["a@one.example", "B@two.example"])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('field = "from", op = "is", value = "APP@acme.example"', True),
        ('field = "from", op = "is_not", value = "app@acme.example"', False),
        ('field = "from.domain", op = "in", value = ["x.example", "ACME.example"]', True),
        ('field = "sender", op = "starts_with", value = "App"', True),
        ('field = "to", op = "ends_with", value = "@TWO.example"', True),
        ('field = "to", op = "is", value = "c@one.example"', False),
        ('field = "to.domain", op = "is_not", value = "two.example"', False),
        ('field = "to.domain", op = "is_not", value = "three.example"', True),
        ('field = "recipients", op = "greater", value = 1', True),
        ('field = "recipients", op = "greater", value = 2', False),
        ('field = "recipients", op = "in", value = [2, 3]', True),
        ('field = "subject", op = "contains", value = "GRÜSSE"', True),
        ('field = "subject", op = "matches", value = "grü*"', True),
        ('field = "subject", op = "matches", value = "grü"', False),
        ('field = "subject", op = "matches", value = "/to a/"', True),
        ('field = "subject", op = "matches", value = "/^to/"', False),
        ('field = "header.X-CAMPAIGN", op = "is", value = "summer"', True),
        ('field = "header.x-campaign", op = "is_not", value = "summer"', False),
        ('field = "header.x-none", op = "matches", value = "*"', False),
        ('field = "header.x-none", op = "is_not", value = "x"', True),
        ('field = "size", op = "less", value = "1 MiB"', True),
        ('field = "size", op = "greater", value = "1 MiB"', False),
        ('field = "stream", op = "is", value = "marketing"', True),
        ('field = "tag", op = "is", value = "news"', True),
        ('field = "client.address", op = "is", value = "192.0.2.7"', True),
        ('field = "client.address", op = "in_network", value = "192.0.2.0/24"', True),
        ('field = "client.address", op = "in_network", value = ["10.0.0.0/8", "2001:db8::/32"]', False),
        ('field = "hour", op = "is", value = 8', True),
        ('field = "day", op = "in", value = ["friday", "saturday"]', True),
        ('field = "attachment.count", op = "is", value = 0', True),
        ('field = "attachment.type", op = "is_not", value = "image/png"', True),
    ],
)
def test_fields_and_ops(condition: str, expected: bool) -> None:
    """Each field with an op, on one message; AT is a Friday, 08:00 UTC."""
    text = rule(f"all = [{{ {condition} }}]")
    decision = judge(CONTENT, ENVELOPE, identity(text), at=AT)
    assert decision.action == ("hold" if expected else "accept"), decision
    assert decision.steps[-1].outcome == ("matched" if expected else "not matched")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('field = "attachment.type", op = "is", value = "application/x-dosexec"', True),
        ('field = "attachment.name", op = "matches", value = "*.TXT"', True),
        ('field = "attachment.count", op = "is", value = 2', True),
        ('field = "attachment.size", op = "greater", value = 199', True),
        ('field = "attachment.size", op = "greater", value = "1 KiB"', False),
    ],
)
def test_attachment_fields(condition: str, expected: bool) -> None:
    """By content, by name, by number, by size of one."""
    content = with_attachments(attachment("a.txt", content=b"MZ" + b"\x90" * 300), attachment("b.pdf"))
    decision = judge(content, who=identity(rule(f"any = [{{ {condition} }}]")))
    assert (decision.action == "hold") is expected, decision


def test_ipv4_inside_ipv6() -> None:
    """A client on a dual-stack socket is the IPv4 client it is."""
    text = rule('all = [{ field = "client.address", op = "in_network", value = "192.0.2.0/24" }]')
    assert judge(CONTENT, who=identity(text), client_address="::ffff:192.0.2.9").action == "hold"
    assert judge(CONTENT, who=identity(text), client_address="").action == "accept"


def test_first_that_ends_the_matter() -> None:
    """accept, hold and reject end it; tag goes on, and later rules see the tag."""
    tagged = rule("all = []", 'action = "tag"\ntag = "seen"', "mark")
    held = rule('all = [{ field = "tag", op = "is", value = "seen" }]', name="look")
    rejected = rule("all = []", 'action = "reject"', "never")
    accepted = rule("all = []", 'action = "accept"', "fine")
    decision = judge(CONTENT, who=identity(tagged + held + rejected))
    assert (decision.action, decision.rule) == ("hold", "policy test: look")
    assert decision.options.tags == ("News", "seen")
    assert str(decision.author) == ADDRESS
    assert [step.outcome for step in decision.steps[-2:]] == ["matched", "matched"]
    assert judge(CONTENT, who=identity(accepted + rejected)).rule == "policy test: fine"
    assert refusal(judge(CONTENT, who=identity(rejected + accepted)))[0] == "policy test: never"


def test_rejections_say_why() -> None:
    """The rule's own words, or its name and document."""
    plain = rule("all = []", 'action = "reject"', "no mail")
    assert refusal(judge(CONTENT, who=identity(plain)))[1] == (
        '550 5.7.1 refused by rule "no mail" of policy test'
    )
    spoken = rule("all = []", 'action = "reject"\nreply = "Ask your admin"')
    assert refusal(judge(CONTENT, who=identity(spoken)))[1] == "550 5.7.1 Ask your admin"


def test_inbound_rules_do_not_bind_outgoing_mail() -> None:
    """They are kept for the way in."""
    text = rule("all = []", 'direction = "inbound"\naction = "reject"')
    assert judge(CONTENT, who=identity(text)).action == "accept"
    assert len(policy(text).inbound_rules) == 1


def test_accept_does_not_lift_limits() -> None:
    """A rule speaks after limits and identities, never instead of them."""
    text = "[limits]\nmessage_bytes = 10\n" + rule("all = []", 'action = "accept"')
    assert refusal(judge(CONTENT, who=identity(text)))[0] == "limits.message_bytes"


def test_groups() -> None:
    """all, any and not together, and inside each other."""
    yes, no = '{ field = "size", op = "greater", value = 0 }', '{ field = "size", op = "less", value = 1 }'
    cases = [
        (f"all = [{yes}, {yes}]", True),
        (f"all = [{yes}, {no}]", False),
        (f"any = [{no}, {yes}]", True),
        (f"any = [{no}, {no}]", False),
        (f"not = {no}", True),
        (f"not = [{no}, {yes}]", False),
        (f"all = [{yes}]\nany = [{no}]", False),
        (f"all = [{yes}]\nnot = {no}", True),
        (f"any = [{{ all = [{yes}, {{ not = {no} }}] }}]", True),
    ]
    for text, expected in cases:
        action = judge(CONTENT, who=identity(rule(text))).action
        assert (action == "hold") is expected, text


SUBJECT = Subject(facts(CONTENT, ENVELOPE), parse_mailbox(ADDRESS), MessageOptions())
LEAVES: Sequence[Condition] = (Test("size", "greater", 0), Test("size", "less", 1))


def conditions() -> st.SearchStrategy[Condition]:
    """Trees of conditions whose leaves are plainly true or false."""

    def deeper(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        several = st.lists(inner, max_size=4).map(tuple)
        return st.one_of(st.builds(All, several), st.builds(AnyOf, several), st.builds(Not, inner))

    return st.recursive(st.sampled_from(LEAVES), deeper, max_leaves=12)


def plainly(condition: Condition) -> bool:
    """What the condition means, said another way."""
    match condition:
        case Test(op=op):
            return op == "greater"
        case All(of):
            return False not in [plainly(one) for one in of]
        case AnyOf(of):
            return True in [plainly(one) for one in of]
        case Not(of):
            return not plainly(of)


@given(conditions())
def test_conditions_mean_what_they_say(condition: Condition) -> None:
    """Any tree, against a model."""
    assert holds(condition, SUBJECT) is plainly(condition)


@given(conditions(), conditions())
def test_de_morgan(one: Condition, other: Condition) -> None:
    """not (a and b) is (not a) or (not b)."""
    assert holds(Not(All((one, other))), SUBJECT) is holds(AnyOf((Not(one), Not(other))), SUBJECT)


def _with_lists(text: str, **lists: tuple[str, set[str]]) -> Identity:
    shared = {
        name: ListRecord(name, name, "shared", kind, frozenset(values))  # type: ignore[arg-type]
        for name, (kind, values) in lists.items()
    }
    return replace(identity(text), lists=ListsInReach({}, shared))


@pytest.mark.parametrize(
    ("field", "kind", "values", "matches"),
    [
        ("to", "address", {"to@there.example"}, True),
        ("to", "address", {"other@there.example"}, False),
        ("to", "domain", {"there.example"}, True),
        ("to", "domain", {"example"}, False),
        ("to", "tld", {"example"}, True),
        ("to.domain", "domain", {"there.example"}, True),
        ("to.domain", "tld", {"example"}, True),
        ("to.domain", "tld", {"there.example"}, False),
        ("to.domain", "address", {"to@there.example"}, False),
        ("from.domain", "domain", {"acme.example"}, True),
        ("sender", "address", {"app@acme.example"}, True),
    ],
)
def test_rules_ask_lists(field: str, kind: str, values: set[str], matches: bool) -> None:
    text = f"""
[[rules]]
name = "listed"
all = [{{ field = "{field}", op = "in_list", value = "some" }}]
action = "hold"
"""
    who = _with_lists(text, some=(kind, values))
    decision = judge(message(), who=who)
    assert decision.action == ("hold" if matches else "accept")
    assert f"list some (shared, 1 of kind {kind})" in decision.steps[-1].detail


def test_nothing_stands_in_a_list_that_is_not_there() -> None:
    text = """
[[rules]]
name = "only friends"
not = { field = "to.domain", op = "in_list", value = "friends" }
action = "reject"
"""
    assert judge(message(), who=identity(text)).action == "reject"
    decision = judge(message(), who=_with_lists(text, friends=("domain", {"there.example"})))
    assert decision.action == "accept"
    own = replace(
        _with_lists(text, friends=("domain", {"there.example"})),
        lists=ListsInReach(
            {"friends": ListRecord("l", "friends", "tenant-acme", "domain", frozenset())},
            {"friends": ListRecord("m", "friends", "shared", "domain", frozenset({"there.example"}))},
        ),
    )
    assert judge(message(), who=own).action == "reject"


def _both(*own: str) -> ListsInReach:
    """A list "blocked" of the tenant, and a shared one with a domain in it."""
    return ListsInReach(
        {"blocked": ListRecord("l", "blocked", "tenant-acme", "domain", frozenset(own))},
        {"blocked": ListRecord("m", "blocked", "shared", "domain", frozenset({"there.example"}))},
    )


def test_a_tenants_own_list_takes_no_rule_of_its_plan_away() -> None:
    text = """
[[rules]]
name = "blocked"
all = [{ field = "to.domain", op = "in_list", value = "blocked" }]
action = "reject"
"""
    ceiling = replace(identity(), policy=policy(plan=text), lists=_both())
    decision = judge(message(), who=ceiling)
    assert (decision.action, decision.rule) == ("reject", "plan test: blocked")
    assert decision.steps[-1].detail == "reject; list blocked (shared, 1 of kind domain)"
    alone = replace(ceiling, lists=ListsInReach(_both().own, {}))
    decision = judge(message(), who=alone)
    assert decision.action == "accept"
    assert decision.steps[-1].detail == "list blocked (is not there)"


def test_a_policys_rule_asks_the_tenants_own_list_beside_a_plans_that_does_not() -> None:
    text = """
[[rules]]
name = "tagged"
all = [{ field = "to.domain", op = "in_list", value = "blocked" }]
action = "tag"
tag = "listed"
"""
    who = replace(identity(), policy=policy(text, plan=text), lists=_both("other.example"))
    told = [(step.rule, step.detail) for step in judge(message(), who=who).steps[-2:]]
    assert told == [
        ("plan test: tagged", "tag; list blocked (shared, 1 of kind domain)"),
        ("policy test: tagged", "list blocked (own, 1 of kind domain)"),
    ]
