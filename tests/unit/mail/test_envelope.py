"""MAIL and RCPT: every parameter read, every mistake answered with the code the RFCs have for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address import Mailbox
from gateway.mail.envelope import (
    EnvelopeError,
    MailCommand,
    RcptCommand,
    decode_orcpt,
    parse_mail_argument,
    parse_rcpt_argument,
)

ALICE = Mailbox("alice", "example.com")


def test_plain_commands() -> None:
    assert parse_mail_argument(b"FROM:<alice@example.com>") == MailCommand(ALICE)
    assert parse_rcpt_argument(b"TO:<alice@example.com>") == RcptCommand(ALICE)
    assert parse_mail_argument("from: <alice@example.com> ") == MailCommand(ALICE)
    assert parse_rcpt_argument("To:  <alice@example.com>") == RcptCommand(ALICE)


def test_the_null_reverse_path() -> None:
    assert parse_mail_argument(b"FROM:<>") == MailCommand(None)
    assert parse_mail_argument(b"FROM:<> SIZE=1 RET=HDRS") == MailCommand(None, size=1, ret="HDRS")


def test_every_mail_parameter_in_any_case_with_its_value_untouched() -> None:
    command = parse_mail_argument(
        b"FROM:<alice@example.com> size=1000 Body=8bitmime SMTPUTF8 ret=full ENVID=QQ+2Bab"
        b" Auth=Bob+2Bx@Example.COM"
    )
    assert command == MailCommand(
        ALICE,
        size=1000,
        body="8BITMIME",
        smtputf8=True,
        ret="FULL",
        envid="QQ+2Bab",
        auth="Bob+x@Example.COM",
    )
    assert parse_mail_argument(b"FROM:<> AUTH=<>").auth == "<>"


def test_every_rcpt_parameter() -> None:
    command = parse_rcpt_argument(
        b"TO:<alice@example.com> NOTIFY=success,Delay ORCPT=rfc822;Bob+2BX@Example.com"
    )
    assert command == RcptCommand(ALICE, frozenset({"SUCCESS", "DELAY"}), "rfc822;Bob+2BX@Example.com")
    assert parse_rcpt_argument(b"TO:<alice@example.com> NOTIFY=NEVER").notify == {"NEVER"}


def test_internationalised_paths_where_smtputf8_is_asked_for() -> None:
    command = parse_mail_argument("FROM:<jörg@bücher.example> SMTPUTF8".encode())
    assert command.reverse_path == Mailbox("jörg", "bücher.example")
    recipient = parse_rcpt_argument("TO:<jörg@example.com>".encode(), smtputf8=True)
    assert recipient.recipient.local == "jörg"
    assert parse_rcpt_argument("TO:<a@example.com> ORCPT=utf-8;jörg@example.com", smtputf8=True).orcpt


def test_odd_but_valid_paths() -> None:
    assert parse_mail_argument(b'FROM:<"a>b c"@example.com> SIZE=1') == MailCommand(
        Mailbox("a>b c", "example.com"), 1
    )
    assert parse_rcpt_argument(b"TO:<a@[192.0.2.1]>").recipient.is_literal


@pytest.mark.parametrize(
    ("argument", "code", "status"),
    [
        (b"", 501, "5.5.4"),
        (b"FROM", 501, "5.5.4"),
        (b"TO:<a@b.example>", 501, "5.5.4"),
        (b"FROM <a@b.example>", 501, "5.5.4"),
        (b"FROM:", 501, "5.1.7"),
        (b"FROM:a@b.example", 501, "5.1.7"),
        (b"FROM:<a@b.example", 501, "5.1.7"),
        (b"FROM:Alice <a@b.example>", 501, "5.1.7"),
        (b"FROM:<a@b.example>SIZE=1", 501, "5.5.4"),
        (b"FROM:<a@b.example><c@d.example>", 501, "5.5.4"),
        (b"FROM:<<>>", 501, "5.5.4"),
        (b"FROM:< >", 501, "5.1.7"),
        (b"FROM:<a>", 501, "5.1.7"),
        (b"FROM:<@x.example:a@b.example>", 501, "5.1.7"),
        (b"FROM:<a@b.example\x00>", 501, "5.1.7"),
        (b"FROM:<a\rb@b.example>", 501, "5.1.7"),
        ("FROM:<jörg@b.example>".encode(), 550, "5.6.7"),
        (b"FROM:<j\xf6rg@b.example> SMTPUTF8", 501, "5.5.2"),
        (b"FROM:<> SIZE", 501, "5.5.4"),
        (b"FROM:<> SIZE=", 501, "5.5.4"),
        (b"FROM:<> SIZE=x", 501, "5.5.4"),
        (b"FROM:<> SIZE=-1", 501, "5.5.4"),
        (b"FROM:<> SIZE=" + b"1" * 21, 501, "5.5.4"),
        (b"FROM:<> SIZE=1 SIZE=1", 501, "5.5.4"),
        (b"FROM:<> SIZE=1 size=2", 501, "5.5.4"),
        (b"FROM:<> BODY=BINARYMIME", 501, "5.5.4"),
        (b"FROM:<> BODY", 501, "5.5.4"),
        (b"FROM:<> SMTPUTF8=1", 501, "5.5.4"),
        (b"FROM:<> RET=NONE", 501, "5.5.4"),
        (b"FROM:<> ENVID=a+2", 501, "5.5.4"),
        (b"FROM:<> ENVID=a+0D+0A", 501, "5.5.4"),
        (b"FROM:<> ENVID=" + b"x" * 101, 501, "5.5.4"),
        (b"FROM:<> ENVID=", 501, "5.5.4"),
        (b"FROM:<> AUTH=bob", 501, "5.5.4"),
        (b"FROM:<> AUTH=+3C+3E x", 555, "5.5.4"),
        (b"FROM:<> X-Y=1", 555, "5.5.4"),
        (b"FROM:<> NOTIFY=NEVER", 555, "5.5.4"),
        (b"FROM:<> =1", 501, "5.5.4"),
        (b"FROM:<> A==1", 501, "5.5.4"),
        (b"FROM:<>\tSIZE=1", 501, "5.5.4"),
        (b"FROM:<> SIZE=1\x00", 501, "5.5.4"),
    ],
)
def test_mail_mistakes(argument: bytes, code: int, status: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse_mail_argument(argument)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (code, status)
    assert caught.value.rule


@pytest.mark.parametrize(
    ("argument", "code", "status"),
    [
        (b"TO:<>", 501, "5.1.3"),
        (b"TO:a@b.example", 501, "5.1.3"),
        (b"TO:<a@b..example>", 501, "5.1.3"),
        (b"TO:<@x.example,@y.example:a@b.example>", 501, "5.1.3"),
        (b"TO:<postmaster>", 501, "5.1.3"),
        ("TO:<jörg@b.example>".encode(), 553, "5.6.7"),
        (b"FROM:<a@b.example>", 501, "5.5.4"),
        (b"TO:<a@b.example> NOTIFY=NEVER,FAILURE", 501, "5.5.4"),
        (b"TO:<a@b.example> NOTIFY=", 501, "5.5.4"),
        (b"TO:<a@b.example> NOTIFY=,", 501, "5.5.4"),
        (b"TO:<a@b.example> NOTIFY=ALWAYS", 501, "5.5.4"),
        (b"TO:<a@b.example> NOTIFY=NEVER NOTIFY=NEVER", 501, "5.5.4"),
        (b"TO:<a@b.example> ORCPT=bob@b.example", 501, "5.5.4"),
        (b"TO:<a@b.example> ORCPT=rfc822;", 501, "5.5.4"),
        (b"TO:<a@b.example> ORCPT=;bob", 501, "5.5.4"),
        (b"TO:<a@b.example> ORCPT=rfc822;a+0D+0Ab", 501, "5.5.4"),
        (b"TO:<a@b.example> ORCPT=utf-8;\\x{0A}", 501, "5.5.4"),
        (b"TO:<a@b.example> ORCPT=rfc822;" + b"x" * 500, 501, "5.5.4"),
        (b"TO:<a@b.example> SIZE=1", 555, "5.5.4"),
    ],
)
def test_rcpt_mistakes(argument: bytes, code: int, status: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse_rcpt_argument(argument)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (code, status)


def test_orcpt_is_decoded_for_people() -> None:
    assert decode_orcpt("RFC822;Bob+2BX@b.example") == ("rfc822", "Bob+X@b.example")
    assert decode_orcpt("utf-8;j\\x{F6}rg@b.example") == ("utf-8", "jörg@b.example")
    assert decode_orcpt("utf-8;bob+2Bx@b.example") == ("utf-8", "bob+x@b.example")


WORDS = st.lists(
    st.sampled_from(
        [
            b"FROM:",
            b"TO:",
            b"<",
            b">",
            b"a@b.c",
            b" ",
            b"=",
            b"SIZE",
            b"ENVID",
            b"ORCPT",
            b"NOTIFY",
            b"AUTH",
            b"1",
            b";",
            b"rfc822;",
            b"+0A",
            b"\x00",
            b"\r",
            b"\n",
            b'"',
            b"\\",
            b"\xc3\xa4",
            b"\xff",
        ]
    ),
    max_size=14,
).map(b"".join)


@given(WORDS | st.binary(max_size=60))
def test_only_envelope_errors_come_out_and_their_replies_can_be_sent(argument: bytes) -> None:
    for parse in (parse_mail_argument, parse_rcpt_argument):
        for prefix in (b"", b"FROM:<a@b.c> ", b"TO:<a@b.c> "):
            try:
                parse(prefix + argument)
            except EnvelopeError as error:
                assert error.reply.is_permanent
                assert error.reply.wire().isascii()
