"""The record of a message: decided about again it gives the same answer, or says that it cannot."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.envelope import Envelope
from gateway.outgoing.policy import (
    Decision,
    Facts,
    GivenOptions,
    NotRecorded,
    decide,
    record_facts,
    restore_facts,
)
from tests.unit.outgoing.policy.cases import (
    ACCOUNT,
    ADDRESS,
    ALIAS,
    AT,
    domains,
    envelope,
    facts,
    identity,
    message,
)

PDF = base64.encodebytes(b"%PDF-1.7 " + b"x" * 300).replace(b"\n", b"\r\n")
MIXED = (
    b"--b\r\nContent-Type: text/plain\r\n\r\nHi\r\n"
    b'--b\r\nContent-Type: application/pdf; name="r\xc3\xa9sum\xc3\xa9.pdf"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n" + PDF + b"--b--\r\n"
)
RULES = """
[sender]
scope = "{scope}"
[limits]
recipients_per_message = {recipients}
[[rules]]
name = "pdf"
direction = "outbound"
all = [{{ field = "attachment.name", op = "ends_with", value = ".pdf" }}]
action = "hold"
[[rules]]
name = "said"
direction = "outbound"
any = [
  {{ field = "header.x-said", op = "contains", value = "no" }},
  {{ field = "tag", op = "is", value = "odd" }},
  {{ field = "size", op = "greater", value = 5000 }},
]
action = "reject"
"""


def unique(said: Envelope) -> Envelope:
    """The envelope as the queue's rows tell it: each recipient once."""
    return replace(said, recipients=tuple(dict.fromkeys(said.recipients)))


def again(found: Facts, policy: str) -> Decision:
    """The decision about what was recorded of a message."""
    text = record_facts(found, ACCOUNT, found.envelope.reverse_path or domains_author(found))
    kept = restore_facts(text, unique(found.envelope), client_address=found.client_address, at=found.at)
    who = identity(policy, address=kept.address, aliases=kept.aliases)
    return decide(kept.facts, who, domains)


def domains_author(found: Facts) -> object:
    return decide(found, identity('[sender]\nscope = "domain"'), domains).author


@given(
    author=st.sampled_from([ADDRESS, ALIAS, "other@acme.example"]),
    said=st.sampled_from(["", "yes", "no", "n\u00f6", "=?utf-8?q?n=6F?="]),
    tags=st.lists(st.sampled_from(["odd", "even"]), max_size=2),
    recipients=st.lists(st.sampled_from(["a@x.example", "b@x.example"]), min_size=1, max_size=4),
    padding=st.integers(0, 6000),
    with_file=st.booleans(),
    scope=st.sampled_from(["address", "domain"]),
    most=st.integers(1, 4),
)
def test_the_same_policy_gives_the_same_answer(
    author: str,
    said: str,
    tags: list[str],
    recipients: list[str],
    padding: int,
    with_file: bool,
    scope: str,
    most: int,
) -> None:
    header = [f"From: {author}", f"X-Said: {said}"]
    header += [f"X-Gatepost-Tag: {tag}" for tag in tags]
    if with_file:
        header.append("Content-Type: multipart/mixed; boundary=b")
    body = (MIXED if with_file else b"") + b"y" * 70 + b"\r\n" * (padding // 2)
    found = facts(message(*header, body=body, author=None), envelope(author, recipients))
    policy = RULES.format(scope=scope, recipients=most)
    live = decide(found, identity(policy), domains)
    found.scan()
    assert again(found, policy) == live


def test_what_was_asked_for_beside_the_message_is_kept() -> None:
    asked = GivenOptions("marketing", ("odd",), {"order": "1"})
    found = facts(message(), given=asked)
    assert again(found, RULES.format(scope="address", recipients=5)).rule == "policy test: said"
    options = again(found, "").options
    assert (options.stream, options.tags, options.metadata) == ("marketing", ("odd",), {"order": "1"})


def test_a_field_that_was_too_large_has_no_answer() -> None:
    found = facts(message("X-Said: " + "\r\n ".join(["x" * 900] * 4), "X-Other: z"))
    with pytest.raises(NotRecorded) as caught:
        again(found, RULES.format(scope="address", recipients=5))
    assert caught.value.what == "header.x-said"
    assert again(found, "").action == "accept"


def test_attachments_that_nobody_looked_for_have_no_answer() -> None:
    found = facts(message("Content-Type: multipart/mixed; boundary=b", body=MIXED))
    with pytest.raises(NotRecorded) as caught:
        again(found, RULES.format(scope="address", recipients=5))
    assert caught.value.what == "attachments"
    plain = facts(message("Content-Type: text/plain", body=b"Hello\r\n"))
    assert again(plain, RULES.format(scope="address", recipients=5)).action == "accept"


def test_without_its_from_a_message_cannot_be_decided_about() -> None:
    names = ",\r\n ".join(f'"{"n" * 60} {n}" <{ADDRESS}>' for n in range(49))
    found = facts(message(f"From: {names}", f"Sender: {ADDRESS}", author=None))
    with pytest.raises(NotRecorded):
        again(found, "")


@given(st.binary(max_size=3000), st.lists(st.binary(min_size=1, max_size=200), max_size=60))
def test_any_header_can_be_recorded_and_the_record_stays_small(block: bytes, lines: list[bytes]) -> None:
    found = facts(block + b"\r\n".join(lines) + b"\r\nFrom: a@b\r\n\r\nbody\r\n")
    text = record_facts(found, ACCOUNT, envelope().reverse_path)  # type: ignore[arg-type]
    assert text.isascii()
    assert len(text) < 30_000
    try:
        kept = restore_facts(text, envelope(), client_address="", at=AT)
    except NotRecorded:
        return
    assert kept.facts.size == found.size
    if "x" not in text:
        assert kept.facts.header == found.header
