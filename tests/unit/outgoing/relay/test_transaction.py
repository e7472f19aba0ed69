"""What is said to a peer for a message, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.relay.transaction import PeerFeatures, Unsendable, commands_for, wire_parts
from tests.integration.outgoing.relay.parts import mail, recipient

ALL = PeerFeatures(
    pipelining=True, eightbit=True, smtputf8=True, dsn=True, size_offered=True, size=50_000_000
)
NONE = PeerFeatures()


def test_nothing_is_said_that_was_not_offered() -> None:
    message = mail(eightbit=True, wants_smtputf8=True, envid="E", ret="FULL")
    assert commands_for(message, NONE).mail == b"MAIL FROM:<token@s1.acme.example>\r\n"


def test_dsn_options_go_on_where_the_peer_takes_them() -> None:
    asked = recipient(notify=frozenset({"SUCCESS", "FAILURE"}), orcpt="rfc822;b+2Bx@example.net")
    message = mail(recipients=(asked,), envid="QQ+3D1", ret="HDRS")
    commands = commands_for(message, ALL)
    assert commands.mail.endswith(b" RET=HDRS ENVID=QQ+3D1\r\n")
    assert commands.recipients == (
        b"RCPT TO:<b@example.net> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;b+2Bx@example.net\r\n",
    )
    assert commands_for(message, NONE).recipients == (b"RCPT TO:<b@example.net>\r\n",)


def test_size_is_that_of_the_message_and_too_much_is_not_even_tried() -> None:
    message = mail(content=b"x" * 1000, header=b"y" * 24)
    assert b" SIZE=1024" in commands_for(message, ALL).mail
    with pytest.raises(Unsendable) as refused:
        commands_for(message, PeerFeatures(size_offered=True, size=1023))
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (552, "5.3.4")


def test_smtputf8_is_dropped_where_it_is_not_needed_and_kept_where_it_is() -> None:
    plain = mail("b@bücher.example", wants_smtputf8=True, destination="xn--bcher-kva.example")
    assert commands_for(plain, NONE).recipients == (b"RCPT TO:<b@xn--bcher-kva.example>\r\n",)
    assert commands_for(plain, ALL).recipients == ("RCPT TO:<b@bücher.example>\r\n".encode(),)
    needed = mail("größe@example.net", wants_smtputf8=True)
    with pytest.raises(Unsendable) as refused:
        commands_for(needed, NONE)
    assert refused.value.reply.enhanced == "5.6.7"
    assert b" SMTPUTF8" in commands_for(needed, ALL).mail


def test_eight_bit_content_needs_8bitmime_only_if_there_is_any() -> None:
    assert commands_for(mail(eightbit=True), NONE)
    with pytest.raises(Unsendable) as refused:
        commands_for(mail(eightbit=True, content="x: y\r\n\r\nö\r\n".encode()), NONE)
    assert refused.value.reply.enhanced == "5.6.3"


@pytest.mark.parametrize("address", ["b@example.net>\r\nRCPT TO:<c@x", "b\0@x.example", "b\u2028@x.example"])
def test_a_control_character_never_reaches_the_wire(address: str) -> None:
    with pytest.raises(Unsendable):
        commands_for(mail(address), ALL)


@given(st.lists(st.sampled_from([b".", b"..", b"", b"a", b".a", b"a.", b".\t"]), max_size=12), st.booleans())
def test_dots_are_doubled_and_the_end_is_one_dot(lines: list[bytes], ends: bool) -> None:
    content = b"\r\n".join(lines) + (b"\r\n" if ends else b"")
    header, rest = wire_parts(mail(content=content, header=b"A: b\r\n"))
    octets = header + rest
    assert octets.endswith(b"\r\n.\r\n")
    body = octets[:-3]
    assert b"\r\n.\r\n" not in b"\r\n" + body
    undone = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in body.split(b"\r\n"))
    expected = b"A: b\r\n" + content
    assert undone == (expected if expected.endswith(b"\r\n") and content else expected + b"\r\n")


@pytest.mark.parametrize(
    ("size", "offered", "limit"),
    [("0", True, None), ("", True, None), ("100", True, 100), ("many", True, None)],
)
def test_the_size_extension_is_read_leniently(size: str, offered: bool, limit: int | None) -> None:
    features = PeerFeatures.of_ehlo({"size": size, "pipelining": ""})
    assert (features.size_offered, features.size, features.pipelining) == (offered, limit, True)
    assert PeerFeatures.of_ehlo({}).size_offered is False
