"""Whose names may stand on a message: every way to look like somebody else is tried and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address import parse_mailbox
from gateway.outgoing.policy import check_sender, decide
from tests.unit.outgoing.policy.cases import (
    ADDRESS,
    ALIAS,
    WORKSPACE,
    domains,
    envelope,
    facts,
    identity,
    judge,
    message,
    refusal,
)


def test_own_address_is_accepted() -> None:
    """The usual message."""
    decision = judge(message("Subject: hi"))
    assert decision.action == "accept"
    assert decision.reply is None
    assert str(decision.author) == ADDRESS
    assert {step.outcome for step in decision.steps} == {"passed"}


@pytest.mark.parametrize(
    "author",
    [
        f"From: Acme App <{ADDRESS}>",
        f'From: "Acme, App" <{ADDRESS}>',
        "From: APP@ACME.EXAMPLE",
        f"From: {ALIAS}",
        f"From:\r\n {ADDRESS}",
        f"FROM: =?utf-8?q?Caf=C3=A9?= <{ADDRESS}>",
        f"From: {ADDRESS}, {ALIAS}\r\nSender: {ALIAS}",
        f"From: {ADDRESS}\r\nSender: {ALIAS}\r\nResent-From: {ADDRESS}\r\nResent-Sender: {ALIAS}",
        'From: "app"@acme.example',
    ],
)
def test_ways_to_write_an_own_address(author: str) -> None:
    """Every plain form is accepted, and the author's domain is the one that signs."""
    decision = judge(message("Subject: hi", author=author))
    assert decision.action == "accept", decision
    assert decision.author is not None
    assert decision.author.domain_key == "acme.example"


VICTIM = "boss@victim.example"
SPOOFS = [
    ("another address", f"From: {VICTIM}", "from.identity"),
    ("another of the own domain", "From: other@acme.example", "from.identity"),
    ("a sub-address", "From: app+x@acme.example", "from.identity"),
    ("a sub-domain", "From: app@mail.acme.example", "from.identity"),
    ("a look-alike domain", "From: app@аcme.example", "from.not-ascii"),
    ("no From", "Subject: x", "from.one-field"),
    ("two From fields", f"From: {ADDRESS}\r\nFrom: {VICTIM}", "from.one-field"),
    ("two From fields, the other first", f"From: {VICTIM}\r\nFrom: {ADDRESS}", "from.one-field"),
    ("two From fields of other case", f"From: {ADDRESS}\r\nfROM: {VICTIM}", "from.one-field"),
    ("a From with space before the colon", f"From: {ADDRESS}\r\nFrom : {VICTIM}", "from.one-field"),
    ("only a From with space", f"From : {ADDRESS}", "from.colon"),
    ("several authors without Sender", f"From: {ADDRESS}, {ALIAS}", "from.several-without-sender"),
    ("several, one of them another", f"From: {ADDRESS}, {VICTIM}\r\nSender: {ADDRESS}", "from.identity"),
    ("several, the other first", f"From: {VICTIM}, {ADDRESS}\r\nSender: {ADDRESS}", "from.identity"),
    (
        "several domains",
        f"From: {ADDRESS}, app@pending.example\r\nSender: {ADDRESS}",
        "from.several-domains",
    ),
    ("another Sender", f"From: {ADDRESS}\r\nSender: {VICTIM}", "sender-field.identity"),
    (
        "two Sender fields",
        f"From: {ADDRESS}\r\nSender: {ADDRESS}\r\nSender: {ALIAS}",
        "sender-field.one-field",
    ),
    ("a Sender of two", f"From: {ADDRESS}\r\nSender: {ADDRESS}, {ALIAS}", "sender-field.one-address"),
    ("another Resent-From", f"From: {ADDRESS}\r\nResent-From: {VICTIM}", "resent-from.identity"),
    ("a second Resent-From", f"From: {ADDRESS}\r\nResent-From: {ALIAS}\r\nResent-From: {VICTIM}", None),
    ("another Resent-Sender", f"From: {ADDRESS}\r\nResent-Sender: {VICTIM}", "resent-sender.identity"),
    ("a group", f"From: friends: {ADDRESS};", "from.group"),
    ("an empty group", "From: undisclosed:;", "from.group"),
    ("a comment", f"From: {ADDRESS} ({VICTIM})", "from.comment"),
    ("a comment in the address", "From: app(x)@acme.example", None),
    ("a nested comment", f"From: (a (b) c) {ADDRESS}", "from.comment"),
    ("a source route", f"From: <@victim.example:{ADDRESS}>", "from.source-route"),
    ("two angle brackets", f"From: <{VICTIM}> <{ADDRESS}>", None),
    ("brackets in brackets", f"From: <<{ADDRESS}>>", None),
    ("an address before the brackets", f"From: {VICTIM} <{ADDRESS}>", None),
    ("an address behind them", f"From: <{ADDRESS}> {VICTIM}", None),
    ("a trailing comma", f"From: {ADDRESS},", "from.empty-element"),
    ("a leading comma", f"From: , {ADDRESS}", "from.empty-element"),
    ("nothing", "From:", "from.empty"),
    ("a name only", "From: Boss", "from.no-address"),
    ("<>", "From: <>", None),
    ("two @", "From: app@acme.example@victim.example", None),
    ("an address literal", "From: app@[192.0.2.1]", "from.identity"),
    ("a percent hack", "From: app%victim.example@acme.example", "from.identity"),
    ("a bang path", "From: victim.example!boss@acme.example", "from.identity"),
    ("an encoded address", "From: =?utf-8?q?boss=40victim.example?= <app@acme.example> x", None),
    (
        "an encoded word with a line end",
        f"From: =?utf-8?q?a=0D=0AFrom=3A_b?= <{ADDRESS}>",
        "from.encoded-word",
    ),
    ("an encoded word with a NUL", f"From: =?utf-8?b?YQBi?= <{ADDRESS}>", "from.encoded-word"),
    ("a quoted local part that hides an @", 'From: "boss@victim.example"@acme.example', "from.identity"),
    ("a quoted local part with quotes", 'From: "\\"app\\""@acme.example', "from.identity"),
    ("a CR", f"From: {ADDRESS}\rFrom: {VICTIM}", None),
    ("a line without a colon before From", f"junk\r\nFrom: {ADDRESS}", "header.form"),
    ("a mailbox separator", f"From app@acme.example Mon\r\nFrom: {ADDRESS}", "header.form"),
    ("a folded first line", f" folded\r\nFrom: {ADDRESS}", "header.form"),
    ("an unproved domain of the own", "From: app@pending.example", "domain.verified"),
    ("a Sender of an unproved domain", f"From: {ADDRESS}\r\nSender: app@pending.example", "domain.verified"),
    ("a Resent-From of one", f"From: {ADDRESS}\r\nResent-From: app@pending.example", "domain.verified"),
]


@pytest.mark.parametrize(
    ("author", "rule"), [spoof[1:] for spoof in SPOOFS], ids=[spoof[0] for spoof in SPOOFS]
)
def test_spoofs_are_refused(author: str, rule: str | None) -> None:
    """550, naming the rule; nobody learns more than that it is not theirs."""
    got, reply = refusal(judge(message("Subject: x", author=author)))
    assert reply.startswith("550 5."), reply
    if rule is not None:
        assert got == rule, reply
    if got.startswith(("from", "sender", "resent", "domain")) and "not-ascii" not in got:
        assert reply.startswith("550 5.7.1 "), reply
        assert f"(rule {got})" in reply


PIECES = [
    f"From: {ADDRESS}".encode(),
    f"From: {VICTIM}".encode(),
    f"Sender: {VICTIM}".encode(),
    b"Resent-From: ",
    b"X-Gatepost-Tag: a",
    b"X-Gatepost-Metadata: {",
    b"Content-Type: multipart/mixed; boundary=b",
    b"--b",
    b"=?utf-8?q?",
    b"?=",
    *(bytes([octet]) for octet in b'\r\n\x00:<>"(),;@ x\xff'),
    b"\r\n",
    b"\r\n\r\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join))
def test_any_octets_get_an_answer(content: bytes) -> None:
    """Never a traceback; what is accepted has the account's own address, once, as its From."""
    decision = judge(content)
    if decision.action == "accept":
        lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").partition(b"\n\n")[0].split(b"\n")
        assert sum(line.lower().startswith(b"from:") for line in lines) == 1
        named = [line for line in lines if line.lower().startswith((b"from:", b"sender:", b"resent-"))]
        assert not any(VICTIM.encode() in line for line in named)
    else:
        assert decision.reply is not None
        assert decision.reply.wire().startswith((b"550", b"552", b"554", b"452"))


def test_nul_in_from_is_refused() -> None:
    """NUL ends a string for some readers."""
    rule, reply = refusal(judge(message(author=f"From: {ADDRESS}\x00")))
    assert (rule, reply[:9]) == ("content.nul", "550 5.6.0")


def test_bare_newline_makes_no_hidden_from() -> None:
    """A bare CR or LF is a line end once normalised: the second From is seen."""
    for bare in ("\r", "\n"):
        content = message("Subject: x", author=f"From: {ADDRESS}{bare}From: {VICTIM}")
        assert refusal(judge(content))[0] == "from.one-field"


def test_scope_domain_lets_the_domain_pass_and_nothing_more() -> None:
    """Any address of the account's own domain; aliases' domains and sub-domains are not widened."""
    who = identity('[sender]\nscope = "domain"')
    assert judge(message(author="From: any@acme.example"), envelope("x@acme.example"), who).action == "accept"
    for author in ("any@mail.acme.example", "any@pending.example", VICTIM):
        assert refusal(judge(message(author=f"From: {author}"), who=who))[0] == "from.identity"


@pytest.mark.parametrize("sender", [VICTIM, "other@acme.example", "app@mail.acme.example", "app@[192.0.2.1]"])
def test_reverse_path_of_others_is_refused(sender: str) -> None:
    """At MAIL FROM, and again at the end of the message."""
    early = check_sender(parse_mailbox(sender), identity(), domains)
    rule, reply = refusal(early)
    assert rule == "sender.identity"
    assert sender in reply
    assert reply.startswith("550 5.7.1 ")
    assert refusal(judge(message(), envelope(sender)))[0] == "sender.identity"


def test_null_reverse_path_needs_an_own_from() -> None:
    """Automatic replies: `<>` passes, the From still has to be the account's."""
    assert check_sender(None, identity(), domains).action == "accept"
    assert judge(message(), envelope(None)).action == "accept"
    assert refusal(judge(message(author=f"From: {VICTIM}"), envelope(None)))[0] == "from.identity"


def test_unproved_domain_is_named_with_the_command() -> None:
    """An alias on a domain that is not proved: refused at MAIL FROM already, with what to do."""
    rule, reply = refusal(check_sender(parse_mailbox("app@pending.example"), identity(), domains))
    assert rule == "domain.verified"
    assert "`gatepost domain records pending.example`" in reply
    assert "pending" in reply


def test_unknown_and_foreign_domains_look_alike() -> None:
    """No tenant learns that a domain is another's."""
    replies = []
    for name in ("victim.example", "nobodys.example"):
        who = identity(address=f"app@{name}")
        rule, reply = refusal(judge(message(author=f"From: app@{name}"), envelope(f"app@{name}"), who))
        assert rule == "domain.verified"
        replies.append(reply.replace(name, "NAME"))
    assert replies[0] == replies[1]


def test_domain_of_another_environment_is_refused() -> None:
    """Environments never mix, though the tenant is the same; it is told which."""
    who = identity(address="app@staging.example")
    content = message(author="From: app@staging.example")
    rule, reply = refusal(judge(content, envelope("app@staging.example"), who))
    assert rule == "domain.verified"
    assert "staging" in reply
    there = replace(who, workspace=replace(WORKSPACE, environment="staging"))
    assert decide(facts(content, envelope("app@staging.example")), there, domains).action == "accept"


def test_internationalised_identity() -> None:
    """U-labels and A-labels are one identity; a local part beyond ASCII needs SMTPUTF8."""
    who = identity(aliases=("jürgen@acme.example",))
    author = "From: jürgen@acme.example"
    assert judge(message(author=author), envelope(smtputf8=True), who).action == "accept"
    rule, reply = refusal(judge(message(author=author), envelope(), who))
    assert rule == "from.not-ascii"
    assert reply.startswith("550 5.6.7 ")
