"""What files declare, and what applying them changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.control.errors import Invalid
from gateway.system.toml_lines import Path, Problem, TomlDocument

Kind = Literal["source", "tenant", "trial", "list", "workspace", "domain", "shard"]
"""What is declared; a "trial" is a tenant's trial name in the environment that is its name."""

KINDS: tuple[Kind, ...] = ("source", "tenant", "trial", "list", "workspace", "domain", "shard")
"""In the order in which they need each other."""

Value = str | int | bool | tuple[str, ...] | Mapping[str, str] | None
Files = Iterable[tuple[str, str]]
"""Paths with the texts of the files."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One thing that is to be there. `tenant` is its owner's name; `fields` are those that the file says."""

    kind: Kind
    tenant: str | None
    name: str
    fields: Mapping[str, Value]
    document: TomlDocument = field(repr=False, compare=False)
    path: Path = field(compare=False)

    def problem(self, key: str, message: str, allowed: str = "") -> Problem:
        """A mistake in one of its keys ("": in it as a whole)."""
        return self.document.problem((*self.path, key) if key else self.path, message, allowed)

    def without(self, key: str) -> Declared:
        """The same, as if the file did not say this key."""
        return replace(self, fields={name: value for name, value in self.fields.items() if name != key})


@dataclass(frozen=True, slots=True)
class Declarations:
    """Files that were read together: things in the order in which they need each other, and documents."""

    things: tuple[Declared, ...]
    documents: tuple[tuple[str, str], ...]
    """Policies and plans, as paths and texts."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the files; what could be read of them is there nevertheless."""
    wrong_documents: bool = False
    """Whether some of it is wrong with the documents: none of them can be applied then."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: what it was and what it will be, as files write it; None where it is not said."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What applying does to one thing. `tenant`: the name of the one that it belongs to."""

    kind: str
    name: str
    tenant: str | None
    action: Literal["create", "update", "delete"]
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes in their order; none: what is there is what the files say."""

    changes: tuple[PlannedChange, ...]

    @property
    def has_changes(self) -> bool:
        """Whether applying does anything."""
        return bool(self.changes)


class InvalidDeclarations(Invalid):
    """Files with mistakes; nothing was applied. `problems` has all of them, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.file, one.line, one.key)))
        super().__init__(
            "declarations-invalid",
            "\n".join(map(str, self.problems)),
            "Correct what is listed and try again; docs/declarations.md explains every key. Nothing was "
            "applied.",
        )


def shown_value(value: Value) -> str | None:
    """A value as files write it, texts without quotes."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        pairs = ", ".join(
            f"{json.dumps(key)} = {json.dumps(one, ensure_ascii=False)}" for key, one in value.items()
        )
        return f"{{ {pairs} }}" if pairs else "{}"
    plain = list(value) if isinstance(value, tuple) else value
    return json.dumps(plain, ensure_ascii=False)
