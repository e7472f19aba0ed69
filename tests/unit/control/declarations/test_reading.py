"""Files of declarations: what they say, and every mistake with its line."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.declarations.reading import LARGEST_FILE, read_declarations
from gateway.control.declarations.values import InvalidDeclarations
from gateway.control.declarations.writing import table

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)


def problems_of(*files: tuple[str, str]) -> list[tuple[str, int, str]]:
    """Where mistakes are: file, line, key."""
    with pytest.raises(InvalidDeclarations) as refused:
        read_declarations(files)
    return [(one.file, one.line, one.key) for one in refused.value.problems]


def message_of(text: str) -> str:
    """What is said of the one mistake in a file."""
    with pytest.raises(InvalidDeclarations) as refused:
        read_declarations([("x.toml", text)])
    (problem,) = refused.value.problems
    return problem.message


def test_things_come_in_the_order_in_which_they_need_each_other() -> None:
    text = (
        '[[tenants]]\nname = "Acme"\ntrial = ["staging"]\n[[tenants.shards]]\nname = "S1.Mail.Acme.Example"\n'
        '[[tenants.domains]]\nname = "acme.example"\n[[workspaces]]\nname = "gold"\n'
        '[[sources]]\nhelo = "out.example.net"\nipv4 = "192.0.2.1"\n'
    )
    found = read_declarations([("a/x.toml", text), ("a/policies/p.toml", ""), ("plans/q.toml", "")])
    assert [(one.kind, one.tenant, one.name) for one in found.things] == [
        ("source", None, "out.example.net"),
        ("tenant", None, "Acme"),
        ("trial", "Acme", "staging"),
        ("workspace", None, "gold"),
        ("domain", "Acme", "acme.example"),
        ("shard", "Acme", "s1.mail.acme.example"),
    ]
    assert [path for path, _ in found.documents] == ["a/policies/p.toml", "plans/q.toml"]


def test_all_mistakes_of_all_files_come_at_once() -> None:
    assert problems_of(
        ("a.toml", 'x = 1\n[[tenants]]\nplan = "free"\n[[tenants]]\nname = "A"\nplam = "free"\n'),
        ("b.toml", '[[tenants]]\nname = "B"\ncontacts = ["no address"]\nnotices = 1\nshards = 5\n'),
        ("c.toml", "[[tenants]\n"),
        ("d.txt", ""),
        ("policies/e.toml", "limits = 1\n"),
    ) == [
        ("a.toml", 1, "x"),
        ("a.toml", 2, "tenants[0]"),
        ("a.toml", 6, "tenants[1].plam"),
        ("b.toml", 3, "tenants[0].contacts"),
        ("b.toml", 4, "tenants[0].notices"),
        ("b.toml", 5, "tenants[0].shards"),
        ("c.toml", 1, ""),
        ("d.txt", 0, ""),
        ("policies/e.toml", 1, "limits"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[tenant]]\nname = "A"\n', 'did you mean "tenants"'),
        ('[[tenants]]\nname = "A"\ntrial = ["moon"]\n', '"production"'),
        ('[[workspaces]]\nname = "w"\ndefault = false\n', "when another one says so"),
        ('[[workspaces]]\nname = "w"\nenvironment = "test"\n', '"staging"'),
        ('[[lists]]\nname = "l"\n', "kind is missing"),
        ('[[sources]]\nhelo = "o.example"\nipv4 = "::1"\n', "an IPv4 address"),
        ('[[tenants]]\nname = "A"\n[[tenants.shards]]\nname = "s.example"\nweight = 0\n', "1 to 1000"),
        ('[[tenants]]\nname = "A"\n[[tenants.domains]]\nname = "a_b.example"\n', "letters, digits"),
        ('[[tenants]]\nname = "A"\nmetadata = { a = 1 }\n', "pairs of texts"),
        ('[[tenants]]\nname = "A"\n\n[[tenants]]\nname = "a"\n', "x.toml:1"),
        ("", "no file declares anything"),
        ("#" * (LARGEST_FILE + 1), "longer than 4 MiB"),
    ],
)
def test_a_mistake_says_what_is_allowed(text: str, said: str) -> None:
    assert said in message_of(text)


def test_a_password_in_a_route_is_not_repeated() -> None:
    text = '[[tenants]]\nname = "A"\n[[tenants.shards]]\nname = "s.example"\nroute = "smtps://u:hush@h"\n'
    assert "hush" not in message_of(text)


@given(
    st.fixed_dictionaries(
        {
            "text": TEXTS,
            "number": st.integers(1, 1000),
            "flag": st.booleans(),
            "texts": st.lists(TEXTS, min_size=1).map(tuple),
            "pairs": st.dictionaries(TEXTS, TEXTS, min_size=1),
        }
    )
)
def test_what_is_written_is_read_back(fields: dict[str, Any]) -> None:
    data = tomllib.loads(table("things", fields, "a remark"))
    assert data == {"things": [{**fields, "texts": list(fields["texts"])}]}


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        read_declarations([("x.toml", text)])
    except InvalidDeclarations as error:
        assert error.problems
