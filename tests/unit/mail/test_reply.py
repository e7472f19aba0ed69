"""Replies: their wire form can carry anything and inject nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reply import LINE_LIMIT, Refusal, Reply, ReplyError, parse_reply_lines


def test_a_plain_reply_is_one_line() -> None:
    assert Reply(250, "2.0.0", "queued as abc").wire() == b"250 2.0.0 queued as abc\r\n"
    assert Reply(354, None, "go on").wire() == b"354 go on\r\n"


def test_several_lines_carry_code_and_status_each() -> None:
    reply = Reply(550, "5.7.1", "one\ntwo")
    assert reply.wire() == b"550-5.7.1 one\r\n550 5.7.1 two\r\n"


def test_ehlo_lines() -> None:
    assert Reply(250, None, "gw.example\nPIPELINING\nSIZE 10").wire() == (
        b"250-gw.example\r\n250-PIPELINING\r\n250 SIZE 10\r\n"
    )


def test_line_ends_of_a_client_cannot_end_a_reply() -> None:
    wire = Reply(550, "5.1.1", "no user x\r\n250 2.0.0 ok\x00").wire()
    assert wire == b"550-5.1.1 no user x?\r\n550 5.1.1 250 2.0.0 ok?\r\n"


def test_other_than_ascii_only_where_asked_for() -> None:
    reply = Reply(550, "5.1.1", "jörg")
    assert reply.wire() == b"550 5.1.1 j?rg\r\n"
    assert reply.wire(smtputf8=True) == "550 5.1.1 jörg\r\n".encode()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (99, None),
        (600, None),
        (250, "5.0.0"),
        (450, "5.7.1"),
        (550, "5.7"),
        (550, "5.7.1\r\n250 ok"),
        (354, "3.0.0"),
    ],
)
def test_mistakes_in_code_and_status_are_found(code: int, status: str | None) -> None:
    with pytest.raises(ValueError, match="code"):
        Reply(code, status, "x")


@pytest.mark.parametrize(
    ("code", "kind"), [(250, "positive"), (354, "positive"), (452, "transient"), (550, "permanent")]
)
def test_kinds(code: int, kind: str) -> None:
    reply = Reply(code, None, "")
    found = [name for name in ("positive", "transient", "permanent") if getattr(reply, f"is_{name}")]
    assert found == [kind]


@given(st.text(), st.booleans())
def test_any_text_makes_a_valid_reply(text: str, smtputf8: bool) -> None:
    wire = Reply(452, "4.3.1", text).wire(smtputf8=smtputf8)
    lines = wire.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) + 2 <= LINE_LIMIT for line in lines)
    assert all(line.startswith(b"452-4.3.1 ") for line in lines[:-1])
    assert lines[-1].startswith(b"452 4.3.1 ")
    assert not set(wire.replace(b"\r\n", b"")) & set(range(32))
    wire.decode("utf-8" if smtputf8 else "ascii")
    assert parse_reply_lines(lines).code == 452


@given(st.text(alphabet="ä x", min_size=400, max_size=2000))
def test_wrapping_loses_no_character(text: str) -> None:
    wire = Reply(550, None, text).wire(smtputf8=True)
    shown = "".join(line[4:] for line in wire.decode().split("\r\n"))
    assert shown.replace(" ", "") == text.replace(" ", "")


def test_a_peers_reply_is_taken_apart() -> None:
    reply = parse_reply_lines([b"550-5.1.1 no such\r\n", b"550 5.1.1 user\r\n"])
    assert reply == Reply(550, "5.1.1", "no such\nuser")
    assert parse_reply_lines(["250"]) == Reply(250, None, "")
    assert parse_reply_lines(["250 2.0.0"]) == Reply(250, "2.0.0", "")


def test_a_status_of_another_class_stays_in_the_text() -> None:
    assert parse_reply_lines(["450 5.1.1 hm"]) == Reply(450, None, "5.1.1 hm")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"hello"],
        [b"550-a"],
        [b"550-a", b"551 b"],
        [b"250 a", b"250 b"],
        [b"650 a"],
        [b"2500 a"],
        [b"190 a"],
    ],
)
def test_what_is_no_reply_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ReplyError):
        parse_reply_lines(lines)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_parsing_raises_nothing_else(lines: list[bytes]) -> None:
    try:
        reply = parse_reply_lines(lines)
    except ReplyError:
        return
    assert 200 <= reply.code <= 599


def test_a_refusal_says_what_and_why_on_one_line() -> None:
    refusal = Refusal(Reply(550, "5.7.1", "no\nway"), "from grammar")
    assert str(refusal) == "550 5.7.1 no way [from grammar]"
    assert refusal.rule == "from grammar"
