"""What a document changes, key by key, for people to read before it is applied."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.control.policies.documents import Document, Kind
from gateway.control.policies.keys import key_of

ChangeKind = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key: what it was and what it will be, as documents write it; None where it is not said."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One document: what applying it does. `version` is the one after it; comments change no key."""

    kind: Kind
    name: str
    change: ChangeKind
    version: int
    keys: tuple[KeyChange, ...]


def compare(before: Document | None, after: Document) -> DocumentChange:
    """What `after` changes; `before` is the document in force."""
    if before is None:
        return DocumentChange(after.kind, after.name, "new", 1, _key_changes({}, _shown(after)))
    if before.text == after.text:
        return DocumentChange(after.kind, after.name, "unchanged", before.version, ())
    keys = _key_changes(_shown(before), _shown(after))
    return DocumentChange(after.kind, after.name, "changed", before.version + 1, keys)


def _key_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[KeyChange, ...]:
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        KeyChange(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _shown(document: Document) -> dict[str, str]:
    """Every key of the document with its value as text."""
    shown: dict[str, str] = {}
    if document.extends is not None:
        shown["extends"] = document.extends
    for name, value in document.settings.items():
        key = key_of(name)
        shown[name] = key.reader.show(value) if key is not None else str(value)
    tables = document.data.get("rules", [])
    for position, table in enumerate(tables):
        # The place is part of what a rule means: the first that ends the matter ends it.
        shown[f'rules."{table.get("name", "")}"'] = f"{position + 1}. {json.dumps(table, ensure_ascii=False)}"
    return shown
