"""Files to declarations: every mistake of every file at once, each with file, line and key. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from gateway.control.declarations.schema import DOMAIN, LIST, SHARD, SOURCE, TENANT, WORKSPACE, Table
from gateway.control.declarations.values import (
    KINDS,
    Declarations,
    Declared,
    Files,
    InvalidDeclarations,
    Kind,
    Value,
)
from gateway.control.lookup import name_key
from gateway.control.policies.folder import read_documents
from gateway.control.policies.problems import DocumentErrors, ProblemList
from gateway.control.policies.readers import shown_raw
from gateway.system.toml_lines import Path, Problem, TomlDocument, TomlSyntaxError, parse_toml

LARGEST_FILE = 4 * 1024 * 1024
"""Characters of a file."""

_DOCUMENT_FOLDERS = ("policies", "plans")
_IN_TENANT: Mapping[str, tuple[Kind, Table]] = {
    "workspaces": ("workspace", WORKSPACE),
    "domains": ("domain", DOMAIN),
    "shards": ("shard", SHARD),
    "lists": ("list", LIST),
}
_AT_TOP: Mapping[str, tuple[Kind, Table]] = {
    "sources": ("source", SOURCE),
    "workspaces": ("workspace", WORKSPACE),
    "lists": ("list", LIST),
    "tenants": ("tenant", TENANT),
}


def read_declarations(files: Files) -> Declarations:
    """Read files given as (path, text).

    Raises InvalidDeclarations with all mistakes of all files.
    """
    found = gather_declarations(files)
    if found.problems:
        raise InvalidDeclarations(found.problems)
    return found


def gather_declarations(files: Files) -> Declarations:
    """What can be read of files, with all their mistakes.

    Files in a folder "policies" or "plans" are policy documents, all other .toml files declare things.
    """
    problems: list[Problem] = []
    things: list[Declared] = []
    documents: list[tuple[str, str]] = []
    for path, text in files:
        if PurePosixPath(path).parent.name in _DOCUMENT_FOLDERS:
            documents.append((path, text))
        else:
            things.extend(_read_file(path, text, problems))
    wrong = _mistakes(documents)
    problems.extend(wrong)
    if not things and not documents and not problems:
        problems.append(Problem("", 0, "", "no file declares anything"))
    problems.extend(_repeated(things))
    things.sort(key=lambda thing: KINDS.index(thing.kind))
    return Declarations(tuple(things), tuple(documents), tuple(problems), bool(wrong))


def _mistakes(documents: list[tuple[str, str]]) -> tuple[Problem, ...]:
    try:
        if documents:
            read_documents(documents)
    except DocumentErrors as error:
        return error.problems
    return ()


def _read_file(path: str, text: str, problems: list[Problem]) -> Iterator[Declared]:
    if PurePosixPath(path).suffix != ".toml":
        problems.append(Problem(path, 0, "", "a declaration's name ends in .toml"))
        return
    if len(text) > LARGEST_FILE:
        problems.append(Problem(path, 0, "", f"longer than {LARGEST_FILE >> 20} MiB"))
        return
    try:
        document = parse_toml(text, path)
    except TomlSyntaxError as error:
        problems.append(error.problem)
        return
    reader = _FileReader(document)
    yield from reader.tables(document.data, _AT_TOP, (), None)
    problems.extend(reader.problems.found)


class _FileReader:
    """Reads the tables of one file."""

    def __init__(self, document: TomlDocument) -> None:
        self._document = document
        self.problems = ProblemList(document)

    def tables(
        self, data: Mapping[str, Any], known: Mapping[str, tuple[Kind, Table]], path: Path, tenant: str | None
    ) -> Iterator[Declared]:
        """The things of the arrays of tables in `data`; other keys than `known` are mistakes at the top."""
        for name, value in data.items():
            here = (*path, name)
            if name not in known:
                if not path:
                    self.problems.unknown_key(here, known)
                continue
            if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
                self.problems.add(here, f"{shown_raw(value)} stands where tables are expected: [[{name}]]")
                continue
            kind, table = known[name]
            for index, one in enumerate(value):
                yield from self._thing(kind, table, one, (*here, index), tenant)

    def _thing(
        self, kind: Kind, table: Table, data: Mapping[str, Any], path: Path, tenant: str | None
    ) -> Iterator[Declared]:
        inner = _IN_TENANT if kind == "tenant" else {}
        fields = self._fields(table, data, path, inner)
        name = fields.pop(table.named_by, None)
        if not isinstance(name, str):
            return
        trial = fields.pop("trial", ())
        yield Declared(kind, tenant, name, fields, self._document, path)
        if kind == "tenant" and isinstance(trial, tuple):
            for environment in trial:
                yield Declared("trial", name, environment, {}, self._document, (*path, "trial"))
        yield from self.tables({key: data[key] for key in inner if key in data}, inner, path, name)

    def _fields(
        self, table: Table, data: Mapping[str, Any], path: Path, inner: Mapping[str, Any]
    ) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        for name, raw in data.items():
            if name in inner:
                continue
            key = table.keys.get(name)
            if key is None:
                self.problems.unknown_key((*path, name), [*table.keys, *inner])
                continue
            try:
                fields[name] = key.value(raw)
            except ValueError as error:
                why = str(error) or f"{shown_raw(raw)} is not allowed"
                self.problems.add((*path, name), f"{why}; allowed: {key.allowed}")
        for name, key in table.keys.items():
            if key.required and name not in data:
                self.problems.add(path, f"{name} is missing; allowed: {key.allowed}")
        return fields


def _repeated(things: list[Declared]) -> Iterator[Problem]:
    """Things that are declared twice: nobody could say which holds."""
    first: dict[tuple[str, str, str], Declared] = {}
    for thing in things:
        owner = name_key(thing.tenant) if thing.tenant is not None else ""
        other = first.setdefault((thing.kind, owner, name_key(thing.name)), thing)
        if other is not thing:
            place = f"{other.document.file}:{other.document.line_of(other.path)}"
            yield thing.problem("", f'the {thing.kind} "{thing.name}" is declared in {place} already')
