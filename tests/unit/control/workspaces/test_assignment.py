"""Which workspace an account belongs into: the most specific pattern, then defaults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.errors import Invalid
from gateway.control.workspaces.assignment import Assignments, clean_patterns

OWNERS = ("acme", "shared", "globex")
LABELS = st.sampled_from(["a", "b", "c"])
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.tuples(st.sampled_from(OWNERS), st.tuples(st.sampled_from(["", "*."]), DOMAINS).map("".join))


def _matches(pattern: str, domain: str) -> bool:
    return domain.endswith(pattern[1:]) if pattern.startswith("*.") else domain == pattern


@given(
    patterns=st.dictionaries(PATTERNS, st.uuids().map(str), max_size=12),
    defaults=st.dictionaries(st.sampled_from(OWNERS), st.uuids().map(str)),
    domain=DOMAINS,
)
def test_the_most_specific_pattern_then_the_defaults(
    patterns: dict[tuple[str, str], str], defaults: dict[str, str], domain: str
) -> None:
    fitting = [
        (not pattern.startswith("*."), len(pattern), owner == "acme", workspace)
        for (owner, pattern), workspace in patterns.items()
        if owner in ("acme", "shared") and _matches(pattern, domain)
    ]
    expected = max(fitting)[3] if fitting else defaults.get("acme", defaults.get("shared"))
    assert Assignments(patterns, defaults).workspace_of("acme", domain) == expected


def test_patterns_are_kept_in_one_form() -> None:
    assert clean_patterns(["ACME.test", "*.Müller.example", "acme.test"]) == [
        "*.xn--mller-kva.example",
        "acme.test",
    ]


@pytest.mark.parametrize("pattern", ["", "com", "*", "a.*.test", "**.acme.test", "bob@acme.test"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(Invalid):
        clean_patterns([pattern])
