"""TOML with lines: every key is found where it stands, whatever stands around it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.system.toml_lines import Path, TomlSyntaxError, did_you_mean, dotted, parse_toml

TEXT = '''# a comment with = and [brackets]
top = 1
"quoted.key" = """first
"second" line""""

[a.b]    # a table
list = [ # the list
  "]", # not the end
  { x = 1, y = [
    2 ] },
]
c.d = 'its'
e = 2027-01-01 00:00:00

[[rules]]
name = "one"
[[rules.any]]
field = "f"

[[rules]]
name = "two"
[rules.sub]
key = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted.key",), 3),
        (("a",), 6),
        (("a", "b"), 6),
        (("a", "b", "list"), 7),
        (("a", "b", "list", 0), 8),
        (("a", "b", "list", 1), 9),
        (("a", "b", "list", 1, "x"), 9),
        (("a", "b", "list", 1, "y", 0), 10),
        (("a", "b", "c"), 12),
        (("a", "b", "c", "d"), 12),
        (("rules", 0, "name"), 16),
        (("rules", 0, "any", 0, "field"), 18),
        (("rules", 1), 20),
        (("rules", 1, "name"), 21),
        (("rules", 1, "sub", "key"), 23),
    ],
)
def test_lines(path: Path, line: int) -> None:
    """One document with all there is."""
    assert parse_toml(TEXT, "f.toml").line_of(path) == line
    assert parse_toml(TEXT.replace("\n", "\r\n"), "f.toml").line_of(path) == line


def test_missing_keys_are_placed_at_their_table() -> None:
    """The nearest part that is there; the first line if none is."""
    document = parse_toml(TEXT, "f.toml")
    assert document.line_of(("rules", 1, "action")) == 20
    assert document.line_of(("nothing", "here")) == 1
    assert str(document.problem(("a", "b", "list", 1, "z"), "unknown")) == "f.toml:9: a.b.list[1].z: unknown"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb =\n", 2), ("a = 1\na = 2\nc = 3\n", 2), ("\n[x\n", 2), ("a = [\n1\n", 2), ('a = "x\n', 1)],
)
def test_syntax_errors(text: str, line: int) -> None:
    """tomllib's own place, as a problem."""
    with pytest.raises(TomlSyntaxError) as caught:
        parse_toml(text, "f.toml")
    assert caught.value.problem.file == "f.toml"
    assert caught.value.problem.line in (line, line + 1)


def test_deep_nesting_is_a_problem() -> None:
    """No traceback for a thousand brackets."""
    with pytest.raises(TomlSyntaxError):
        parse_toml("a = " + "[" * 5_000 + "]" * 5_000, "f.toml")


def test_suggestions_and_paths() -> None:
    """Near misses; paths as people write them."""
    assert did_you_mean("mesage_bytes", ["message_bytes", "name"]) == ' (did you mean "message_bytes"?)'
    assert did_you_mean("xyz", ["message_bytes"]) == ""
    assert dotted(("a", "b c", 2, "d")) == 'a."b c"[2].d'


KEYS = st.text(st.sampled_from('abc-_1.é"# ='), min_size=1, max_size=4)
SCALARS = st.one_of(
    st.integers(-9, 9),
    st.booleans(),
    st.text(st.sampled_from("ab'\"\\#[]{},=\n é"), max_size=6),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=3)


class Writer:
    """Writes TOML and remembers on which line it put each path."""

    def __init__(self, data: st.DataObject) -> None:
        self.text = ""
        self.lines: dict[Path, int] = {}
        self._choose = data.draw

    def pair(self, path: Path, value: Any) -> None:
        """`key = value` on a line of its own."""
        self.note(path)
        self.text += f"{quoted(str(path[-1]))} = "
        self.value(path, value, inline=False)
        self.text += self._choose(st.sampled_from(["\n", " # [x] = '\n", "\n\n", '\n# """\n']))

    def value(self, path: Path, value: Any, *, inline: bool) -> None:
        """A value; lists may spread over lines."""
        if isinstance(value, bool):
            self.text += "true" if value else "false"
        elif isinstance(value, int):
            self.text += str(value)
        elif isinstance(value, str):
            self.string(value, inline)
        elif isinstance(value, list):
            self.text += "["
            for position, entry in enumerate(value):
                self.text += self.gap(inline)
                self.note((*path, position))
                self.value((*path, position), entry, inline=inline)
                self.text += self.gap(inline) + ","
            self.text += "]"
        else:
            self.text += "{"
            for position, (key, entry) in enumerate(value.items()):
                self.text += ", " if position else " "
                self.note((*path, key))
                self.text += f"{quoted(key)} = "
                self.value((*path, key), entry, inline=True)
            self.text += "}"

    def string(self, value: str, inline: bool) -> None:
        """One of the four kinds of strings that can hold it."""
        kinds = ["basic"]
        if "'" not in value and "\n" not in value:
            kinds.append("literal")
        if not inline:
            kinds.append("long")
            if "'" not in value:
                kinds.append("long literal")
        kind = self._choose(st.sampled_from(kinds))
        if kind == "basic":
            self.text += quoted(value)
        elif kind == "literal":
            self.text += f"'{value}'"
        elif kind == "long":
            self.text += '"""\n' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""'
        else:
            # A line break right after the quotes is TOML's, not the value's.
            self.text += f"'''\n{value}'''"

    def gap(self, inline: bool) -> str:
        """White space inside a list."""
        return str(self._choose(st.sampled_from([" ", ""] if inline else [" ", "\n", " # ]\n  "])))

    def note(self, path: Path) -> None:
        """The path begins on the current line."""
        self.lines.setdefault(path, self.text.count("\n") + 1)


def quoted(text: str) -> str:
    """A basic string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@settings(max_examples=40, deadline=None)
@given(TABLES, st.dictionaries(KEYS, TABLES, max_size=2), st.lists(TABLES, max_size=3), st.data())
def test_any_document(top: Any, tables: Any, array: Any, data: st.DataObject) -> None:
    """Keys, tables and arrays of tables, in any of TOML's ways to write them: data and lines are right."""
    writer = Writer(data)
    top = {f"t-{key}": value for key, value in top.items()}
    for key, value in top.items():
        writer.pair((key,), value)
    for name, table in tables.items():
        writer.note((f"s-{name}",))
        writer.text += f"[ {quoted(f's-{name}')} ]\n"
        for key, value in table.items():
            writer.pair((f"s-{name}", key), value)
    for position, table in enumerate(array):
        writer.note(("array",))
        writer.note(("array", position))
        writer.text += "[[array]]\n"
        for key, value in table.items():
            writer.pair(("array", position, key), value)
    document = parse_toml(writer.text, "f.toml")
    assert document.data == tomllib.loads(writer.text)
    expected = {**top, **{f"s-{name}": table for name, table in tables.items()}}
    assert document.data == ({**expected, "array": array} if array else expected)
    assert {path: document.line_of(path) for path in writer.lines} == writer.lines
