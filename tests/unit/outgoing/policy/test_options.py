"""The X-Gatepost fields: what they may say, and the reply that names the field when they do not."""

from __future__ import annotations

import json

import pytest

from tests.unit.outgoing.policy.cases import identity, judge, message, refusal


def test_none() -> None:
    """The credential's stream, or the default."""
    assert judge(message()).options.stream == "default"
    assert judge(message(), default_stream="agent").options.stream == "agent"


def test_all() -> None:
    """Stream (any case), tags in order and once each, metadata."""
    content = message(
        "X-Gatepost-Stream: Transactional",
        "X-Gatepost-Tag: welcome",
        "x-gatepost-tag: eu/2027",
        "X-Gatepost-Tag: welcome",
        'X-Gatepost-Metadata: {"order": "12",\r\n "who": "J\\u00fcrgen"}',
    )
    options = judge(content, default_stream="agent").options
    assert options.stream == "transactional"
    assert options.tags == ("welcome", "eu/2027")
    assert options.metadata == {"order": "12", "who": "Jürgen"}


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("X-Gatepost-Stream: two words", "Stream"),
        ("X-Gatepost-Stream:", "Stream"),
        ("X-Gatepost-Stream: " + "a" * 33, "Stream"),
        ("X-Gatepost-Stream: a\r\nX-Gatepost-Stream: b", "Stream"),
        (b"X-Gatepost-Stream: caf\xe9", "Stream"),
        ("X-Gatepost-Tag: a b", "Tag"),
        ("X-Gatepost-Tag:", "Tag"),
        ("X-Gatepost-Tag: " + "a" * 65, "Tag"),
        ("\r\n".join(f"X-Gatepost-Tag: t{n}" for n in range(11)), "Tag"),
        ("X-Gatepost-Metadata: order=12", "Metadata"),
        ("X-Gatepost-Metadata: [1]", "Metadata"),
        ("X-Gatepost-Metadata: []", "Metadata"),
        ('X-Gatepost-Metadata: "a"', "Metadata"),
        ('X-Gatepost-Metadata: {"a": 1}', "Metadata"),
        ('X-Gatepost-Metadata: {"a": {"b": "c"}}', "Metadata"),
        ('X-Gatepost-Metadata: {"a": "1", "a": "2"}', "Metadata"),
        ('X-Gatepost-Metadata: {"": "1"}', "Metadata"),
        ('X-Gatepost-Metadata: {"a": "\\u0000"}', "Metadata"),
        ('X-Gatepost-Metadata: {"a": "\\ud800"}', "Metadata"),
        ("X-Gatepost-Metadata: " + "[" * 900, "Metadata"),
        ('X-Gatepost-Metadata: {"a": "' + "x" * 501 + '"}', "Metadata"),
        ('X-Gatepost-Metadata: {"' + "x" * 41 + '": "1"}', "Metadata"),
        ("X-Gatepost-Metadata: {}\r\nX-Gatepost-Metadata: {}", "Metadata"),
    ],
)
def test_mistakes(header: str | bytes, field: str) -> None:
    """550 5.6.0, naming the field."""
    rule, reply = refusal(judge(message(header)))
    assert rule == f"options.x-gatepost-{field.lower()}"
    assert reply.startswith(f"550 5.6.0 the field X-Gatepost-{field} ")


def test_number_of_pairs() -> None:
    """50 pairs, not 51."""

    def metadata(pairs: int) -> str:
        return "X-Gatepost-Metadata: " + json.dumps({str(n): "" for n in range(pairs)})

    assert len(judge(message(metadata(50))).options.metadata) == 50
    assert refusal(judge(message(metadata(51))))[0] == "options.x-gatepost-metadata"


def test_recursion_is_no_traceback() -> None:
    """Brackets nested over Python's depth: the same reply."""
    who = identity('[sender]\nlong_lines = "pass"')
    content = message("X-Gatepost-Metadata: " + "[" * 60_000)
    assert refusal(judge(content, who=who))[0] == "options.x-gatepost-metadata"
