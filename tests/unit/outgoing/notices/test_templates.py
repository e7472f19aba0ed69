"""Templates of notices: packaged ones are whole, an operator's go before them, values stay in their line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outgoing.notices.kinds import PLACEHOLDERS, Kind
from gateway.outgoing.notices.templates import TemplateInvalid, Templates, packaged_folder, read_template

PACKAGED = Templates.load()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_packaged_template_with_a_subject_and_a_text(kind: Kind) -> None:
    values = {name: f"<{name}>" for name in PLACEHOLDERS[kind]}
    letter = Templates.load().render(kind, values)
    assert letter.subject and "\n" not in letter.subject
    assert "<tenant>" in letter.text and "$" not in letter.subject + letter.text
    assert max(map(len, letter.text.splitlines())) < 200


def test_no_packaged_file_is_left_over() -> None:
    assert {entry.name for entry in packaged_folder().iterdir()} == {f"{kind}.txt" for kind in Kind}


def test_what_has_no_value_leaves_no_gap() -> None:
    letter = Templates.load().render(Kind.QUOTA, {"tenant": "acme"})
    assert "\n\n\n" not in letter.text


@given(st.text())
def test_a_value_cannot_begin_a_line_of_its_own(value: str) -> None:
    templates = PACKAGED
    plain = templates.render(Kind.SHARD_PAUSED, {"tenant": "x", "shard": "x"})
    letter = templates.render(Kind.SHARD_PAUSED, {"tenant": value, "shard": value})
    assert len(letter.text.splitlines()) == len(plain.text.splitlines())
    assert letter.subject.isprintable() and len(letter.subject) <= 200


def test_a_value_is_no_template() -> None:
    letter = Templates.load().render(Kind.SHARD_PAUSED, {"tenant": "$shard ${plan}", "shard": "s1"})
    assert "$shard ${plan}" in letter.text


def test_an_operators_template_goes_first(tmp_path: Path) -> None:
    (tmp_path / "quota.txt").write_bytes(b"Subject: Fast voll: $percent\r\n\r\nHallo $tenant, 5 $$\r\n")
    templates = Templates.load(tmp_path)
    letter = templates.render(Kind.QUOTA, {"percent": "90", "tenant": "Bäckerei"})
    assert (letter.subject, letter.text) == ("Fast voll: 90", "Hallo Bäckerei, 5 $\n")
    assert "paused" in templates.render(Kind.SHARD_PAUSED, {}).subject


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"Hello\n", "must begin with Subject:"),
        (b"Subject: $percnt\n", r"names \$percnt"),
        (b"Subject: 5 $ each\n", "begins no name"),
        (b"Subject: \xff\n", "not UTF-8"),
        (b"Subject: $ends_at\n", r"names \$ends_at"),
    ],
)
def test_a_template_with_a_mistake_is_named_and_the_packaged_one_stays(
    tmp_path: Path, text: bytes, problem: str
) -> None:
    file = tmp_path / "quota.txt"
    file.write_bytes(text)
    with pytest.raises(TemplateInvalid, match=problem):
        read_template(Kind.QUOTA, file)
    assert "used" in Templates.load(tmp_path).render(Kind.QUOTA, {}).subject
