"""Reading `[[rules]]` tables into conditions, with a problem for everything that is not the grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from gateway.control.policies.operands import OperandError, read_operand
from gateway.control.policies.problems import ProblemList
from gateway.control.policies.readers import shown_raw
from gateway.control.policies.rulefields import (
    FieldType,
    field_names,
    field_type,
    is_about_attachments,
    ops_of,
)
from gateway.control.policies.rules import Action, All, AnyOf, Condition, Direction, Not, Op, Rule, Test
from gateway.system.toml_lines import Path, did_you_mean

RULE_LIMIT = 200
"""Rules in a document."""
CONDITION_LIMIT = 500
"""Comparisons in a rule."""
DEPTH_LIMIT = 10
REPLY_LIMIT = 400

_GROUPS = ("all", "any", "not")
_RULE_KEYS = ("name", "description", "direction", "action", "reply", "tag", *_GROUPS)
_TEST_KEYS = ("field", "op", "value")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,63}")
_RULE_NAME_LIMIT = 100


def read_rules(
    tables: object, source: str, problems: ProblemList, *, of_plan: bool = False
) -> tuple[Rule, ...]:
    """The rules of a document, in order; those with mistakes are left out.

    `source` names the document; `of_plan`: it is a plan.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.add(("rules",), "rules are an array of tables; begin each with [[rules]]")
        return ()
    if len(tables) > RULE_LIMIT:
        problems.add(("rules",), f"{len(tables)} rules; at most {RULE_LIMIT} are allowed")
        return ()
    rules: list[Rule] = []
    names: dict[str, int] = {}
    for position, table in enumerate(tables):
        rule = _RuleReader(table, ("rules", position), source, problems, of_plan).read()
        if rule is None:
            continue
        if rule.name in names:
            first = problems.document.line_of(("rules", names[rule.name], "name"))
            problems.add(("rules", position, "name"), f'"{rule.name}" is already the rule of line {first}')
        names.setdefault(rule.name, position)
        rules.append(rule)
    return tuple(rules)


@dataclass(slots=True)
class _RuleReader:
    table: Mapping[str, object]
    path: Path
    source: str
    problems: ProblemList
    of_plan: bool
    comparisons: int = 0
    fields: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)

    def read(self) -> Rule | None:
        """The rule, or None if it has mistakes (they are noted)."""
        before = len(self.problems.found)
        for key in self.table:
            if key not in _RULE_KEYS:
                self.problems.unknown_key((*self.path, key), _RULE_KEYS)
        name = self._text("name", _RULE_NAME_LIMIT, required=True)
        self._text("description", 10_000)
        direction = self._word("direction", get_args(Direction), "outbound")
        action = self._word("action", get_args(Action), None)
        reply, tag = self._action_details(action)
        condition = self._condition()
        if len(self.problems.found) > before or name is None or condition is None:
            return None
        return Rule(
            name=name,
            direction=cast("Direction", direction),
            condition=condition,
            action=cast("Action", action),
            reply=reply,
            tag=tag,
            source=self.source,
            needs_attachments=any(is_about_attachments(field) for field in self.fields),
            lists=tuple(sorted(self.lists)),
            of_plan=self.of_plan,
        )

    def _action_details(self, action: str | None) -> tuple[str | None, str | None]:
        reply = self._text("reply", REPLY_LIMIT)
        if reply is not None and action != "reject":
            self.problems.add((*self.path, "reply"), 'only a rule with action = "reject" has a reply')
        if reply is not None and not reply.isascii():
            self.problems.add((*self.path, "reply"), "a reply is ASCII: not every client can read more")
        tag = self._text("tag", 64)
        if (tag is None) == (action == "tag"):
            path = (*self.path, "tag") if tag is not None else self.path
            self.problems.add(path, 'a rule has a tag if, and only if, its action = "tag"')
        if tag is not None and not _TAG.fullmatch(tag):
            self.problems.add(
                (*self.path, "tag"), "a tag has 1 to 64 letters, digits and any of . _ : / @ + -"
            )
        return reply, tag

    def _condition(self) -> Condition | None:
        """All groups of the rule together; several hold only together."""
        if not any(group in self.table for group in _GROUPS):
            message = "no condition; allowed: any, all, not. For every message write all = []"
            self.problems.add(self.path, message)
            return None
        return self._groups(self.table, self.path, 1)

    def _groups(self, table: Mapping[str, object], path: Path, depth: int) -> Condition | None:
        parts: list[Condition | None] = []
        for group in _GROUPS:
            if group not in table:
                continue
            here = (*path, group)
            value = table[group]
            if group == "not" and isinstance(value, dict):
                inner = self._one(value, here, depth + 1)
                parts.append(Not(inner) if inner is not None else None)
                continue
            conditions = self._list(value, here, depth)
            if group == "all":
                parts.append(All(conditions))
            elif value == []:
                self.problems.add(here, f"an empty list; {group} has at least one condition")
            else:
                parts.append(AnyOf(conditions) if group == "any" else Not(AnyOf(conditions)))
        known = tuple(part for part in parts if part is not None)
        return known[0] if len(known) == 1 else All(known)

    def _list(self, value: object, path: Path, depth: int) -> tuple[Condition, ...]:
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.problems.add(path, 'allowed: a list of conditions, such as [{ field = "size", … }]')
            return ()
        read = [self._one(entry, (*path, position), depth + 1) for position, entry in enumerate(value)]
        return tuple(condition for condition in read if condition is not None)

    def _one(self, table: Mapping[str, object], path: Path, depth: int) -> Condition | None:
        if depth > DEPTH_LIMIT:
            self.problems.add(path, f"conditions nested over {DEPTH_LIMIT} deep")
            return None
        groups = [key for key in table if key in _GROUPS]
        for key in table:
            if key not in (_GROUPS if groups else _TEST_KEYS):
                allowed = _GROUPS if groups else (*_TEST_KEYS, *_GROUPS)
                self.problems.unknown_key((*path, key), allowed)
        return self._groups(table, path, depth) if groups else self._test(table, path)

    def _test(self, table: Mapping[str, object], path: Path) -> Test | None:
        missing = [key for key in _TEST_KEYS if key not in table]
        if missing:
            self.problems.add(path, f"the condition has no {' and no '.join(missing)}")
            return None
        self.comparisons += 1
        if self.comparisons == CONDITION_LIMIT + 1:
            self.problems.add(path, f"a rule has at most {CONDITION_LIMIT} comparisons")
        name = table["field"].lower() if isinstance(table["field"], str) else ""
        kind = field_type(name)
        if kind is None:
            hint = did_you_mean(name, field_names())
            allowed = ", ".join(field_names())
            message = f"{shown_raw(table['field'])} is not a field{hint}; allowed: {allowed}"
            self.problems.add((*path, "field"), message)
            return None
        self.fields.add(name)
        return self._comparison(name, kind, table, path)

    def _comparison(self, name: str, kind: FieldType, table: Mapping[str, object], path: Path) -> Test | None:
        op = table["op"]
        allowed = ops_of(kind)
        if not isinstance(op, str) or op not in allowed:
            hint = did_you_mean(op, allowed) if isinstance(op, str) else ""
            message = f"{shown_raw(op)} is not an op of {name}{hint}; allowed: {', '.join(allowed)}"
            self.problems.add((*path, "op"), message)
            return None
        known = cast("Op", op)
        try:
            operand = read_operand(name, kind, known, table["value"])
        except OperandError as error:
            self.problems.add((*path, "value"), str(error))
            return None
        if known == "in_list":
            self.lists.add(str(operand))
        return Test(name, known, operand)

    def _text(self, key: str, limit: int, *, required: bool = False) -> str | None:
        if key not in self.table:
            if required:
                self.problems.add(self.path, f"the rule has no {key}")
            return None
        value = self.table[key]
        single = key == "description"
        if not isinstance(value, str) or not 0 < len(value) <= limit or not (single or value.isprintable()):
            message = (
                f"{shown_raw(value)} is not allowed; allowed: a text of 1 to {limit} characters on one line"
            )
            self.problems.add((*self.path, key), message)
            return None
        return value

    def _word(self, key: str, words: tuple[str, ...], default: str | None) -> str | None:
        value = self.table.get(key, default)
        if isinstance(value, str) and value in words:
            return value
        allowed = ", ".join(f'"{word}"' for word in words)
        if key not in self.table:
            self.problems.add(self.path, f"the rule has no {key}; allowed: {allowed}")
            return None
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        self.problems.add((*self.path, key), f"{shown_raw(value)} is not allowed{hint}; allowed: {allowed}")
        return None
