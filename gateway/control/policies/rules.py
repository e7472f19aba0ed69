"""The grammar of rules: what a `[[rules]]` table may say, as values that `outgoing.policy` evaluates.

    rule      = name, direction, action, conditions
    condition = { field, op, value } | { all = […] } | { any = […] } | { not = condition }

Texts are compared without case. A field with several values (recipients, attachments) satisfies an op if
one of them does; `is_not` if none of them `is`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from gateway.control.policies.patterns import Pattern

Direction = Literal["outbound", "inbound"]
Action = Literal["accept", "hold", "reject", "tag"]
Op = Literal[
    "is",
    "is_not",
    "in",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "greater",
    "less",
    "in_network",
    "in_list",
]
Network = IPv4Network | IPv6Network
Operand = str | int | frozenset[str] | frozenset[int] | Pattern | tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison. `operand` is ready to compare with: texts are casefolded, patterns compiled.

    Of `in_list` it is the list's name: what stands in it is looked up when the rule is asked.
    """

    field: str
    op: Op
    operand: Operand
    __test__ = False  # not a test class, whatever pytest takes its name for


@dataclass(frozen=True, slots=True)
class All:
    """Every condition holds; also if there are none."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    of: Condition


Condition = Test | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `reply` is the text of a rejection, `tag` what a tagging rule adds; `source` its document."""

    name: str
    direction: Direction
    condition: Condition
    action: Action
    reply: str | None = None
    tag: str | None = None
    source: str = ""
    needs_attachments: bool = False
    lists: tuple[str, ...] = ()
    """The names of the lists it asks."""
    of_plan: bool = False
    """Whether its document is a plan: no list of a tenant's own answers it."""
