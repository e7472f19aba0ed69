"""Whole-buffer facts, against what a plain loop over octets finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.headers import parse_header
from gateway.mail.message import (
    has_bare_newlines,
    has_line_over,
    has_nul,
    hop_count,
    is_eightbit,
    longest_line,
    normalise_newlines,
)

LINES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\xff", b"\x00", b"bc"]), max_size=30).map(
    b"".join
)
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@given(LINES)
def test_bare_newlines_are_found(content: bytes) -> None:
    assert has_bare_newlines(content) == (BARE.search(content) is not None)


@given(LINES)
def test_normalising_leaves_none_and_changes_nothing_else(content: bytes) -> None:
    normal = normalise_newlines(content)
    assert not has_bare_newlines(normal)
    assert normalise_newlines(normal) == normal
    assert normal == BARE.sub(b"\r\n", content)


def test_normal_content_is_not_copied() -> None:
    content = b"a\r\nb\r\n"
    assert normalise_newlines(content) is content


@pytest.mark.parametrize(
    ("content", "normal"),
    [
        (b"a\rb\nc", b"a\r\nb\r\nc"),
        (b"\r\r\n", b"\r\n\r\n"),
        (b"\n\r", b"\r\n\r\n"),
        (b"x\n.\r\ny", b"x\r\n.\r\ny"),
    ],
)
def test_examples(content: bytes, normal: bytes) -> None:
    assert normalise_newlines(content) == normal


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 30), st.booleans())
def test_long_lines_are_found(lengths: list[int], limit: int, ended: bool) -> None:
    content = b"\r\n".join(b"x" * length for length in lengths) + (b"\r\n" if ended else b"")
    longest = max(lengths, default=0)
    assert longest_line(content) == longest
    assert has_line_over(content, limit) == (longest > limit)


@given(LINES, st.integers(0, 5))
def test_long_lines_with_bare_newlines_in_them(content: bytes, limit: int) -> None:
    assert has_line_over(content, limit) == (longest_line(content) > limit)


def test_the_limit_is_without_crlf() -> None:
    assert not has_line_over(b"x" * 998 + b"\r\n")
    assert has_line_over(b"x" * 999 + b"\r\n")


def test_small_facts() -> None:
    assert has_nul(b"a\x00")
    assert not has_nul(b"a")
    assert is_eightbit(b"\xe4")
    assert not is_eightbit(b"a")
    assert hop_count(parse_header(b"Received: a\r\nX: b\r\nRECEIVED : c\r\n")) == 2
