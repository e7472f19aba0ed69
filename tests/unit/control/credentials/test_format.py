"""The form of app passwords: ours and chosen ones."""

from __future__ import annotations

import os
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.credentials.format import (
    chosen_password_faults,
    chosen_password_tag,
    make_password,
    parse_password,
)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return text


def test_a_made_password_has_the_documented_form() -> None:
    for _ in range(300):
        made = make_password(os.urandom)
        assert re.fullmatch(r"gp_[0-9A-Za-z]{35}", made.text)
        assert len(made.text) == 38
        assert made.text[3:10] == made.key_id
        assert made.text[32:] == base62(zlib.crc32(made.text[:32].encode()), 6)
        assert re.search("[A-Z]", made.text)
        assert re.search("[a-z]", made.text)
        assert re.search("[0-9]", made.text)
        assert parse_password(made.text) == made


def test_it_is_drawn_again_until_it_has_a_digit_and_upper_case() -> None:
    # 36 is "a": 29 of them have no upper case (the checksum may, so look at the result alone).
    draws = iter([bytes([36] * 29), bytes([36] * 28 + [10])])
    made = make_password(lambda _: next(draws))
    assert re.search("[A-Z]", made.text)
    assert re.search("[0-9]", made.text)


def test_octets_that_would_favour_some_characters_are_not_used() -> None:
    sequence = iter([bytes(range(227, 256)), os.urandom(29), os.urandom(29)])
    made = make_password(lambda _: next(sequence))
    assert made.text[3:24] == "".join(ALPHABET[octet % 62] for octet in range(227, 248))


def test_its_printed_form_keeps_the_secret() -> None:
    made = make_password(os.urandom)
    assert made.text[10:] not in repr(made)


@given(st.integers(0, 37), st.sampled_from(ALPHABET + "_- "))
def test_one_wrong_character_never_passes_the_checksum(place: int, other: str) -> None:
    made = make_password(os.urandom)
    wrong = made.text[:place] + other + made.text[place + 1 :]
    assert (parse_password(wrong) is None) == (wrong != made.text)


@given(st.text())
def test_any_text_may_be_parsed(text: str) -> None:
    assert parse_password(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Abcdefghijklmnop1", "18 to 40"),
        ("A1" + "b" * 39, "18 to 40"),
        ("Abcdefghij klmnop12", "without spaces"),
        ("Abcdefghijklmnöp12", "ASCII"),
        ("abcdefghijklmnop12", "upper-case"),
        ("ABCDEFGHIJKLMNOP12", "lower-case"),
        ("Abcdefghijklmnopqr", "digit"),
        ("gp_Abcdefghijklmno1", "gp_"),
        ("Abcdefghijklmnop1\n2", "printable"),
    ],
)
def test_a_chosen_password_is_refused_with_its_fault(text: str, says: str) -> None:
    assert any(says in fault for fault in chosen_password_faults(text))


@pytest.mark.parametrize("text", ["Abcdefghijklmnop12", "A1" + "b" * 38, "Tr0ub4dor&3-and-more!"])
def test_a_chosen_password_that_may_be_used(text: str) -> None:
    assert chosen_password_faults(text) == ()


def test_the_tag_is_short_keyed_and_of_its_account() -> None:
    tag = chosen_password_tag(b"key", "account", "Abcdefghijklmnop12")
    assert re.fullmatch("[0-9a-f]{4}", tag)
    assert tag == chosen_password_tag(b"key", "account", "Abcdefghijklmnop12")
    others = {chosen_password_tag(b"key", f"account-{n}", "Abcdefghijklmnop12") for n in range(50)}
    assert len(others) > 40
    assert len({chosen_password_tag(b"key%d" % n, "account", "Abcdefghijklmnop12") for n in range(50)}) > 40
