"""xtext and its internationalised relative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.xtext import XtextError, decode_unitext, decode_xtext, encode_unitext, encode_xtext


@given(st.text())
def test_xtext_round_trip(text: str) -> None:
    encoded = encode_xtext(text)
    assert encoded.isascii()
    assert not set(encoded) & set(" =\r\n\x00")
    assert decode_xtext(encoded) == text


@given(st.text())
def test_unitext_round_trip(text: str) -> None:
    encoded = encode_unitext(text)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert decode_unitext(encoded) == text


@pytest.mark.parametrize("xtext", ["+", "+4", "+4g", "+aB", "a b", "a=b", "ä", "\x00", "+FF"])
def test_what_is_no_xtext(xtext: str) -> None:
    with pytest.raises(XtextError):
        decode_xtext(xtext)


@pytest.mark.parametrize("unitext", ["a b", "a+b", "a=b", "\\", "\\x{1}", "\\x{110000}", "\\x{zz}"])
def test_what_is_no_unitext(unitext: str) -> None:
    with pytest.raises(XtextError):
        decode_unitext(unitext)


@given(st.text(max_size=20))
def test_only_xtext_errors_come_out(text: str) -> None:
    for decode in (decode_xtext, decode_unitext):
        try:
            assert isinstance(decode(text), str)
        except XtextError:
            continue
