"""What acceptance adds to a header and takes from it; everything else stays as it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.headers import parse_header
from gateway.outgoing.intake import ClientInfo
from gateway.outgoing.intake.completion import Trace, complete_header, make_field, received_value

CLIENT = ClientInfo("192.0.2.7", 4711, "laptop.example", "ESMTPSA", "TLSv1.3 TLS_AES_256_GCM_SHA384")


def trace(**changes: object) -> Trace:
    values: dict = {
        "hostname": "mail.example.net",
        "message_id": "06h0kqv4tdp75686f1vkenmhr0",
        "client": CLIENT,
        "for_address": None,
        "hide_client": False,
        "at": 1_790_000_000.0,
        "smtputf8": False,
    }
    return Trace(**(values | changes))


def completed(block: bytes, **changes: object) -> bytes:
    return complete_header(parse_header(block), trace(**changes), "acme.com").raw


def test_missing_date_and_message_id_are_added_at_the_end() -> None:
    raw = completed(b"From: a@acme.com\r\n")
    assert raw.endswith(
        b"Date: Mon, 21 Sep 2026 14:13:20 +0000\r\nMessage-ID: <06h0kqv4tdp75686f1vkenmhr0@acme.com>\r\n"
    )


def test_present_ones_stay() -> None:
    block = b"DATE: x\r\nmessage-id: <own@id>\r\nFrom: a@acme.com\r\n"
    assert completed(block).endswith(block)


@pytest.mark.parametrize("name", ["Bcc", "BCC", "Resent-Bcc", "X-Gatepost-Stream", "x-gatepost-tag"])
def test_what_nobody_may_see_goes(name: str) -> None:
    raw = completed(f"{name}: secret@x,\r\n other@x\r\nFrom: a@acme.com\r\n".encode())
    assert b"secret" not in raw
    assert b"other" not in raw


def test_the_client_is_hidden_where_the_policy_says_so() -> None:
    assert b"192.0.2.7" in received_value(trace())
    assert b"laptop.example" in received_value(trace())
    hidden = received_value(trace(hide_client=True))
    assert b"192.0.2.7" not in hidden
    assert b"laptop" not in hidden
    assert b"with ESMTPSA id" in hidden


def test_only_a_single_recipient_is_named() -> None:
    assert b"for <x@y.example>" in received_value(trace(for_address="x@y.example"))
    assert b"for <" not in received_value(trace())


@given(st.text(max_size=40))
def test_no_helo_name_can_inject_a_field(helo: str) -> None:
    client = ClientInfo("192.0.2.7", 1, helo, "ESMTPSA", None)
    value = received_value(trace(client=client))
    assert make_field(b"Received", value).raw.count(b"\n") == 1 + value.count(b"\r\n\t")


@pytest.mark.parametrize("value", [b"a\r\nb", b"a\nb", b"a\rb", b"a\x00b", b"a\r\n"])
def test_a_value_cannot_end_its_own_line(value: bytes) -> None:
    with pytest.raises(ValueError, match="own line"):
        make_field(b"X", value)


def test_smtputf8_is_named_in_the_protocol() -> None:
    assert b"with UTF8SMTPSA id" in received_value(trace(smtputf8=True))
