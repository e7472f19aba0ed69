"""A policy or plan document: TOML text in, checked settings and rules out; every mistake at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gateway.control.policies.keys import KEYS, STREAM_KEYS, STREAMS, Key
from gateway.control.policies.problems import DocumentErrors, ProblemList
from gateway.control.policies.readers import Value, shown_raw
from gateway.control.policies.ruleparser import read_rules
from gateway.control.policies.rules import Rule
from gateway.system.toml_lines import Path, Problem, TomlDocument, TomlSyntaxError, did_you_mean, parse_toml

Kind = Literal["policy", "plan"]

NAME_RULE = "1 to 63 of a-z, 0-9 and -, a letter or digit first and last"
DOCUMENT_LIMIT = 256 * 1024
"""Octets of a document."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_STREAM = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,31})")
_TOP_TEXTS = ("name", "description", "extends")

_Tree = dict[str, "Key | _Tree"]


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `settings` are those it has itself, by dotted key; `data` is the TOML as parsed.

    `version` is 0 until it is stored.
    """

    kind: Kind
    name: str
    extends: str | None
    settings: Mapping[str, Value]
    rules: tuple[Rule, ...]
    text: str
    data: Mapping[str, Any] = field(repr=False)
    version: int = 0

    @property
    def source(self) -> str:
        """How the document is named to people: `policy free`, `plan trial`."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What reading a document gave: it (None if its mistakes are too many for one) and the mistakes."""

    document: Document | None
    problems: tuple[Problem, ...]
    toml: TomlDocument | None


def read_document(text: str, file: str, kind: Kind, name: str) -> ReadDocument:
    """Read the document `name` from TOML; `file` is how problems name it."""
    if len(text) > DOCUMENT_LIMIT:
        problem = Problem(file, 0, "", f"longer than {DOCUMENT_LIMIT // 1024} KiB")
        return ReadDocument(None, (problem,), None)
    try:
        toml = parse_toml(text, file)
    except TomlSyntaxError as error:
        return ReadDocument(None, (error.problem,), None)
    document, problems = _read(toml, kind, name, text)
    return ReadDocument(document, problems, toml)


def restore_document(kind: Kind, name: str, version: int, text: str, data: Mapping[str, Any]) -> Document:
    """A stored document again, from its parsed form. Raises DocumentErrors if this program cannot read it."""
    document, problems = _read(TomlDocument(f"{kind} {name}", data, {}), kind, name, text)
    if problems:
        raise DocumentErrors(problems)
    return replace(document, version=version)


def _read(toml: TomlDocument, kind: Kind, name: str, text: str) -> tuple[Document, tuple[Problem, ...]]:
    problems = ProblemList(toml)
    if not _NAME.fullmatch(name):
        problems.add((), f'the file\'s name makes the {kind} "{name}"; a name has {NAME_RULE}')
    data = dict(toml.data)
    tables = data.pop("rules", [])
    top = {key: data.pop(key) for key in _TOP_TEXTS if key in data}
    extends = _read_top(top, name, problems)
    settings: dict[str, Value] = {}
    _read_table(data, _tree(), (), settings, problems)
    rules = read_rules(tables, f"{kind} {name}", problems, of_plan=kind == "plan")
    document = Document(kind, name, extends, settings, rules, text, toml.data)
    return document, tuple(problems.found)


def _read_top(top: Mapping[str, object], name: str, problems: ProblemList) -> str | None:
    """The keys before the tables; returns the name of the document that is extended."""
    for key, value in top.items():
        if not isinstance(value, str):
            problems.add((key,), f"{shown_raw(value)} is not allowed; allowed: a text")
    if isinstance(said := top.get("name"), str) and said != name:
        problems.add(
            ("name",), f'"{said}" is not the file\'s name; call the file {said}.toml or leave name out'
        )
    extends = top.get("extends")
    if not isinstance(extends, str):
        return None
    if not _NAME.fullmatch(extends):
        problems.add(("extends",), f"{shown_raw(extends)} is not a document's name; allowed: {NAME_RULE}")
        return None
    return extends


def _tree() -> _Tree:
    """The keys as nested tables; `*` stands for a stream's name."""
    tree: _Tree = {}
    streams = {f"{STREAMS}.*.{name}": key for name, key in STREAM_KEYS.items()}
    for dotted, key in {**KEYS, **streams}.items():
        *tables, last = dotted.split(".")
        node = tree
        for table in tables:
            inner = node.setdefault(table, {})
            assert isinstance(inner, dict), "no key is also a table"
            node = inner
        node[last] = key
    return tree


def _read_table(
    data: Mapping[str, Any], tree: _Tree, path: Path, settings: dict[str, Value], problems: ProblemList
) -> None:
    for name, value in data.items():
        here = (*path, name)
        node = tree.get(name)
        if node is None and "*" in tree:
            node = tree["*"]
            if not _STREAM.fullmatch(name):
                problems.add(here, "not a stream's name; allowed: 1 to 32 of a-z, 0-9, - and _")
                continue
        if node is None:
            problems.unknown_key(here, tree if path else (*tree, *_TOP_TEXTS, "rules"))
        elif isinstance(node, Key):
            _read_value(node, value, here, settings, problems)
        elif isinstance(value, dict):
            _read_table(value, node, here, settings, problems)
        else:
            problems.add(
                here, f"{shown_raw(value)} stands where a table is expected: {', '.join(sorted(node))}"
            )


def _read_value(
    key: Key, value: object, path: Path, settings: dict[str, Value], problems: ProblemList
) -> None:
    try:
        settings[".".join(map(str, path))] = key.reader.read(value)
    except ValueError as error:
        why = str(error) or f"{shown_raw(value)} is not allowed"
        words = getattr(key.reader, "words", ())
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        problems.add(path, f"{why}{hint}; allowed: {key.reader.allowed}")
