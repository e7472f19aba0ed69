"""Names of domains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.domains.names import is_below, parents, parse_name, unicode_name
from gateway.control.errors import Invalid


def test_parents_and_below() -> None:
    assert parents("a.b.c") == ["a.b.c", "b.c", "c"]
    assert is_below("a.acme.test", "acme.test")
    assert is_below("acme.test", "acme.test")
    assert not is_below("evilacme.test", "acme.test")


def test_names_that_no_encoder_knows_are_shown_as_they_are() -> None:
    assert unicode_name("xn--a.test") == "xn--a.test"


@pytest.mark.parametrize(
    "name", ["пример.com", "сорока.рф", "ουρανος.ελ", "bücher.test", "acme.рф", "аррӏе-и.com", "中文.test"]
)
def test_names_of_other_scripts_are_names(name: str) -> None:
    assert unicode_name(parse_name(name)) == name


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.-]{1,30}\.[a-z]{2,5}", fullmatch=True))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse_name(text)
    except Invalid:
        return
    assert name == name.lower()
    assert name.isascii()
    assert all(0 < len(label) <= 63 for label in name.split("."))
    assert parse_name(name) == name
    assert parse_name(unicode_name(name)) == name
