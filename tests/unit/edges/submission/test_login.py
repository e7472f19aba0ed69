"""What AUTH says, and what it may not say."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.credentials.signin import Denied, SignInOutcome
from gateway.edges.submission.login import (
    Credentials,
    LoginSyntaxError,
    as_text,
    decode_base64,
    decode_initial,
    denial,
    parse_plain,
)

PART = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(PART, PART, PART)
def test_plain_round_trip(authzid: str, login: str, password: str) -> None:
    message = f"{authzid}\0{login}\0{password}".encode()
    assert parse_plain(decode_base64(base64.b64encode(message))) == Credentials(login, password, authzid)


@given(st.binary(max_size=200))
def test_anything_else_is_a_syntax_error(octets: bytes) -> None:
    try:
        decoded = decode_initial(octets)
        parse_plain(decoded)
    except LoginSyntaxError as error:
        assert error.reply.startswith(b"501 5.5.2 ")
    else:
        assert decoded.count(b"\0") == 2


def test_an_equals_sign_is_an_empty_response() -> None:
    assert decode_initial(b"=") == b""


@pytest.mark.parametrize("octets", [b"\xff", b"a\0b"])
def test_login_takes_utf8_without_nul(octets: bytes) -> None:
    with pytest.raises(LoginSyntaxError):
        as_text(octets)


@pytest.mark.parametrize(
    ("login", "authzid", "itself"),
    [
        ("ann@example.com", "", True),
        ("ann@example.com", "ANN@example.COM", True),
        ("Ann@Exämple.com", "ann@xn--exmple-cua.com", True),
        ("ann@example.com", "bob@example.com", False),
        ("ann@example.com", "ann", False),
        ("ann@example.com", " ", False),
    ],
)
def test_nobody_speaks_for_another(login: str, authzid: str, itself: bool) -> None:
    assert Credentials(login, "x", authzid).is_for_itself is itself


def test_a_password_is_in_no_printed_form() -> None:
    assert "Hunter22" not in repr(Credentials("ann", "Hunter22"))


@pytest.mark.parametrize(
    "reason", [reason for reason in SignInOutcome if reason is not SignInOutcome.ACCEPTED]
)
def test_denials_tell_no_more_than_they_may(reason: SignInOutcome) -> None:
    denied = Denied(reason)
    reply = denial(denied)
    assert (reply.code, reply.enhanced) == ((454, "4.7.0") if denied.temporary else (535, "5.7.8"))
    assert reply.text == denied.text
