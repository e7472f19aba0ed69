"""Globs and expressions: they mean what others mean by them, and no text makes them slow."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.policies.expressions import PatternError
from gateway.control.policies.patterns import parse_glob, parse_pattern

TEXTS = st.text(st.sampled_from("abc.]-1"), max_size=8)


@given(st.text(st.sampled_from("ab*?.]-"), min_size=1, max_size=8), TEXTS)
def test_globs_are_those_of_shells(pattern: str, text: str) -> None:
    """Against the standard library's."""
    assert parse_glob(pattern).matches(text) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*.EXE", "setup.exe", True),
        ("*.exe", "setup.exe.txt", False),
        ("[a-c]?", "b1", True),
        ("[!a-c]?", "b1", False),
        ("[]]", "]", True),
        ("a*b*c", "a--b--c", True),
        ("a*a", "a", False),
        ("**", "", True),
        ("*a\nb", "x\na\nb", True),
        ("*straße", "Hauptstrasse", True),
        ("x*", "x\nanything", True),
    ],
)
def test_globs(pattern: str, text: str, expected: bool) -> None:
    """Case is ignored; the whole text counts."""
    assert parse_pattern(pattern).matches(text.casefold()) is expected


def expressions() -> st.SearchStrategy[str]:
    """Expressions that both we and `re` know."""
    leaves = st.sampled_from(
        ["a", "b", "c", ".", r"\.", r"\d", r"\D", r"\w", "[ab]", "[^a]", "[a-b]", "[]a]", "[^]]"]
    )
    repeats = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,2}", "{1}"])

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
            st.tuples(inner, repeats).map(lambda two: f"({two[0]}){two[1]}"),
            inner.map(lambda one: f"(?:^{one})"),
            inner.map(lambda one: f"(?:{one}$)"),
        )

    return st.recursive(leaves, deeper, max_leaves=6)


@given(expressions(), st.lists(TEXTS, min_size=1, max_size=5))
def test_expressions_are_those_of_re(expression: str, texts: list[str]) -> None:
    """Against Python's engine; $ is the very end. Several texts a pattern: its cache must not matter."""
    pattern = parse_pattern(f"/{expression}/")
    theirs = re.compile(expression.replace("$", r"\Z"), re.DOTALL)
    for text in texts:
        assert pattern.matches(text) is (theirs.search(text) is not None), text


@pytest.mark.parametrize(
    ("expression", "text", "expected"),
    [
        (r"invoice-\d+", "Your INVOICE-12", True),
        (r"^invoice", "your invoice", False),
        (r"GRÜSSE", "viele Grüße", True),
        (r"straße+$", "Hauptstrasseee", True),
        (r"[A-Z]{3}", "xyz", True),
        (r"a\/b", "a/b", True),
        (r"\s", "a\tb", True),
        (r"^$", "", True),
        (r"^$", "x", False),
        (r"", "anything", True),
    ],
)
def test_expressions(expression: str, text: str, expected: bool) -> None:
    """Found anywhere, in any case."""
    assert parse_pattern(f"/{expression}/").matches(text.casefold()) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a" * 201,
        "[a",
        "/(a/",
        "/a)/",
        "/[a/",
        "/*a/",
        "/a**/",
        "/a{2/",
        "/a{3,2}/",
        "/a{101}/",
        "/a{0}/",
        "/((a{99}){99}){99}/",
        r"/(a)\1/",
        "/(?=a)/",
        "/(?i)a/",
        r"/\q/",
        "/a\\/",
        "/[b-a]/",
        "/" + "(" * 30 + "a" + ")" * 30 + "/",
    ],
)
def test_refused(pattern: str) -> None:
    """What would backtrack, repeat without end or mean nothing is refused with a reason."""
    with pytest.raises(PatternError):
        parse_pattern(pattern)


@pytest.mark.parametrize("pattern", ["/(a*)*b$/", "/(a|a)*c/", "/(.*){1,20}x$/", "*a*a*a*a*a*b"])
def test_no_text_makes_them_slow(pattern: str) -> None:
    """Four times the text takes about four times as long, where an engine that backtracks never ends."""
    known = parse_pattern(pattern)
    seconds = []
    for length in (20_000, 80_000):
        start = time.process_time()
        assert not known.matches("a" * length)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 20 * seconds[0] + 0.5


def test_cache_is_bounded() -> None:
    """Characters without end make new edges; the cache starts over instead of growing."""
    pattern = parse_pattern("/[^a]b/")
    text = "".join(chr(0x4E00 + number) for number in range(15_000))
    assert not pattern.matches(text)
    assert pattern.matches(text + "b")
