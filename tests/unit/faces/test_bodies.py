"""Bodies of requests: counted before they are parsed, and what many mistakes come to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from gateway.faces.api.bodies import count_values, parsed
from gateway.faces.api.errors import BodyTooLarge
from gateway.faces.api.facts import Bounds, Facts
from gateway.faces.api.models import Request

WIDE = Bounds(octets=1 << 30, values=1_000_000)
LEAVES = st.none() | st.booleans() | st.integers() | st.text('",[]{}\\:\n\u20ac x')
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text('",[{\\x'), inner), max_leaves=30
)


class Rows(Request):
    """A model of many."""

    rows: tuple[int, ...]


FACTS = Facts("x", "write", False, False, None, bounds=Bounds(values=30_000), shape=Rows)


def marks_of(value: Any) -> int:
    """What the count of a value is: one for each container, and one for each of its members but the first."""
    if not isinstance(value, list | dict):
        return 0
    members = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(0, len(members) - 1) + sum(map(marks_of, members))


@given(VALUES, st.booleans())
def test_values_are_counted_whatever_stands_in_strings(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert count_values(text, WIDE) == marks_of(value)


@pytest.mark.parametrize(
    "text", [b'{"rows":[' + b"[]," * 40_000 + b"[]]}", b'["' + b'","' * 200_000 + b'"]', b"[" * 40_000]
)
def test_too_many_values_are_not_parsed(text: bytes) -> None:
    with pytest.raises(BodyTooLarge, match="values"):
        parsed(text, FACTS)


def test_too_many_escapes_are_not_parsed() -> None:
    with pytest.raises(BodyTooLarge, match="escaped"):
        parsed(b'"' + b"\\n" * 4_000_001 + b'"', FACTS)


def test_few_values_stay_as_they_are_and_many_are_validated_aside() -> None:
    assert parsed(b'{"rows": [1, 2]}', FACTS) == {"rows": [1, 2]}
    many = parsed(json.dumps({"rows": list(range(5_000))}).encode(), FACTS)
    assert isinstance(many, Rows)
    assert many.rows == tuple(range(5_000))


def test_mistakes_among_many_values_are_named_and_too_many_are_counted() -> None:
    rows: list[object] = list(range(5_000))
    rows[7] = "x"
    with pytest.raises(RequestValidationError) as told:
        parsed(json.dumps({"rows": rows}).encode(), FACTS)
    assert [one["loc"] for one in told.value.errors()] == [("body", "rows", 7)]
    with pytest.raises(RequestValidationError) as told:
        parsed(json.dumps({"rows": ["x"] * 5_000}).encode(), FACTS)
    assert "5000 mistakes" in told.value.errors()[0]["msg"]


@pytest.mark.parametrize("text", [b"{", b"{'a': 1}", b"\xff\xfe[\0]\0", b'"\xff"', b"[" * 20_000, b"{} {}"])
def test_what_is_not_json_is_a_mistake_of_the_body(text: bytes) -> None:
    with pytest.raises(RequestValidationError) as told:
        parsed(text, FACTS)
    [mistake] = told.value.errors()
    assert mistake["loc"] == ("body",)
    assert mistake["msg"].startswith("is not JSON: ")
