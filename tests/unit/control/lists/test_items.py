"""What stands in lists, in the form in which rules compare it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.errors import Invalid
from gateway.control.lists.items import parse_items

LABEL = st.from_regex(r"[a-zA-Z][a-zA-Z0-9]{0,10}", fullmatch=True)


@given(st.lists(st.tuples(LABEL, LABEL), min_size=1, max_size=20))
def test_items_come_sorted_once_and_stay_as_they_are(pairs: list[tuple[str, str]]) -> None:
    for kind, values in (
        ("domain", [f"{one}.{two}" for one, two in pairs]),
        ("address", [f"{one}@{two}.test" for one, two in pairs]),
        ("tld", [f".{one}" for one, _ in pairs]),
    ):
        items = parse_items(kind, values)
        assert items == sorted(set(items))
        assert all(item == item.casefold() for item in items)
        assert parse_items(kind, items) == items


@pytest.mark.parametrize(
    ("kind", "given_", "kept"),
    [
        ("domain", " Müller.Example ", "xn--mller-kva.example"),
        ("tld", ".ZIP", "zip"),
        ("address", "Bob@Acme.Test", "bob@acme.test"),
    ],
)
def test_forms(kind: str, given_: str, kept: str) -> None:
    assert parse_items(kind, [given_]) == [kept]


def test_counts() -> None:
    assert parse_items("tld", [], fewest=0) == []
    for count in (0, 1001):
        with pytest.raises(Invalid):
            parse_items("tld", [f"t{n}" for n in range(count)])
